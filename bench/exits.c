// SPDX-License-Identifier: BSD-3-Clause
#include "bench/exits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench/costs.h"
#include "bench/floors.h"
#include "bench/paths.h"
#include "bench/peer.h"
#include "bench/progress.h"
#include "bench/rig.h"

#define GUEST_MEMORY    (32ull << 20)
#define STREAM_MESSAGES 65536u
#define PAGE_ACCESSES   16u
#define IDLE_POLLERS    100u
#define STARTS          11u

/* Where the ioeventfd doorbell lies: in testdev's page, where it has no register. */
#define IOEVENTFD_GPA (SX_MACHINE_TESTDEV_GPA + 0x800)

/* One way of doing one operation. */
struct contestant {
	const char *op;
	const char *mode;
	const char *where;
	enum sx_mode machine_mode;
	enum sx_bench_op what;
	uint32_t samples; /* each round */
	uint32_t warmup;
	uint32_t batch, messages; /* of stream_post */
	uint64_t doorbell;
};

static const struct contestant contestants[] = {
	{"reg_read", "trap", "MMIO", SX_TRAP, SX_BENCH_REG_READ, 1000, 20, 0, 0, 0},
	{"reg_read", "split", "MMIO, forwarded exit", SX_SPLIT, SX_BENCH_REG_READ, 1000, 20, 0, 0,
	 0},
	{"page_read", "split", "shared page", SX_SPLIT, SX_BENCH_PAGE_READ, 5000, 100, 0,
	 PAGE_ACCESSES, 0},
	{"reg_write", "trap", "MMIO", SX_TRAP, SX_BENCH_REG_WRITE, 1000, 20, 0, 0, 0},
	{"reg_write", "split", "shared page", SX_SPLIT, SX_BENCH_PAGE_WRITE, 5000, 100, 0,
	 PAGE_ACCESSES, 0},
	{"doorbell", "trap", "MMIO", SX_TRAP, SX_BENCH_DOORBELL, 1000, 20, 0, 0,
	 SX_MACHINE_TESTDEV_GPA + offsetof(struct sx_testdev_regs, doorbell)},
	{"doorbell", "ioeventfd", "KVM, nobody waits", SX_TRAP, SX_BENCH_DOORBELL, 1000, 20, 0, 0,
	 IOEVENTFD_GPA},
	{"doorbell", "split", "shared page", SX_SPLIT, SX_BENCH_PAGE_DOORBELL, 5000, 100, 0,
	 PAGE_ACCESSES, 0},
	{"request_reply", "trap", "ring and kick", SX_TRAP, SX_BENCH_REQUEST, 1000, 20, 0, 0, 0},
	{"request_reply", "split", "ring", SX_SPLIT, SX_BENCH_REQUEST, 20000, 1000, 0, 0, 0},
	{"stream_post", "trap", "ring and kick", SX_TRAP, SX_BENCH_STREAM, 5, 1, 1, 64, 0},
	{"stream_post", "split", "ring", SX_SPLIT, SX_BENCH_STREAM, 5, 1, 1, STREAM_MESSAGES, 0},
	{"stream_post", "trap", "ring and kick", SX_TRAP, SX_BENCH_STREAM, 5, 1, 32, 2048, 0},
	{"stream_post", "split", "ring", SX_SPLIT, SX_BENCH_STREAM, 5, 1, 32, STREAM_MESSAGES, 0},
	{"irq", "trap", "irqfd", SX_TRAP, SX_BENCH_IRQ, 500, 20, 0, 0, 0},
	{"irq", "split", "irqfd", SX_SPLIT, SX_BENCH_IRQ, 500, 20, 0, 0, 0},
	{"irq_reply", "trap", "irqfd", SX_TRAP, SX_BENCH_IRQ_REPLY, 500, 20, 0, 0, 0},
	{"irq_reply", "split", "irqfd", SX_SPLIT, SX_BENCH_IRQ_REPLY, 500, 20, 0, 0, 0},
};

#define CONTESTANTS (sizeof(contestants) / sizeof(contestants[0]))

static const uint32_t bursts[] = {1, 32};

#define BURSTS (sizeof(bursts) / sizeof(bursts[0]))

enum floor {
	FLOOR_PINGPONG,
	FLOOR_KVM_RUN,
	FLOOR_EVENTFD,
	FLOOR_CLOCK, /* an empty timing in the guest; taken off every sample */
	FLOORS,
};

static const char *const floor_names[FLOORS] = {"pingpong", "kvm_run", "eventfd_write", "clock"};

#define FLOOR_ROUNDS 5000u

struct suite {
	const struct sx_bench_options *opt;
	struct sx_report *report;
	struct sx_rig rig;
	struct sx_progress progress;
	int doorbell_fd;
	struct sx_samples samples[CONTESTANTS];
	struct sx_rig_outcome outcome[CONTESTANTS];
	struct sx_samples floor[FLOORS];
	struct sx_peer peer;
	bool have_peer;
	struct sx_samples burst[BURSTS]; /* picoseconds for each message */
	char how[BURSTS][64];            /* which of its ways the peer found the fastest */
};

/* ---- measuring ---- */

static int run_contestant(struct suite *s, size_t i, struct sx_error *err)
{
	const struct contestant *c = &contestants[i];
	struct sx_rig_command command = {
		.mode = c->machine_mode,
		.op = c->what,
		.samples = c->samples,
		.warmup = c->warmup,
		.batch = c->batch,
		.messages = c->messages,
		.doorbell = c->doorbell,
	};
	char what[64];

	snprintf(what, sizeof(what), "%s, %s", c->op, c->mode);
	sx_progress_step(&s->progress, what);
	return sx_rig_run(&s->rig, &command, &s->samples[i], &s->outcome[i], err);
}

static int run_floors(struct suite *s, struct sx_error *err)
{
	struct sx_rig_command empty = {
		.mode = SX_SPLIT, .op = SX_BENCH_NOTHING, .samples = FLOOR_ROUNDS, .warmup = 100};
	struct sx_rig_outcome ignored = {0};
	int rc;

	sx_progress_step(&s->progress, "floors");
	sx_floor_pingpong(&s->rig, 4 * FLOOR_ROUNDS, &s->floor[FLOOR_PINGPONG]);
	rc = sx_floor_kvm_run(&s->rig, FLOOR_ROUNDS, &s->floor[FLOOR_KVM_RUN], err);
	if (rc == 0)
		rc = sx_floor_eventfd(FLOOR_ROUNDS, &s->floor[FLOOR_EVENTFD], err);
	if (rc == 0)
		rc = sx_rig_run(&s->rig, &empty, &s->floor[FLOOR_CLOCK], &ignored, err);
	return rc;
}

static int run_peers(struct suite *s, struct sx_error *err)
{
	struct sx_parking parking;
	int rc = 0;

	sx_progress_step(&s->progress, "rte_ring");
	if (!s->have_peer)
		return 0;
	sx_park(&s->rig, &parking);
	for (size_t b = 0; rc == 0 && b < BURSTS; b++) {
		for (unsigned k = 0; rc == 0 && k < 5; k++) {
			double ns;

			rc = sx_peer_run(&s->peer, bursts[b], STREAM_MESSAGES, &ns, err);
			if (rc == 0)
				sx_samples_add(&s->burst[b], (uint64_t)(ns * 1000));
			snprintf(s->how[b], sizeof(s->how[b]), "%s", s->peer.how);
		}
	}
	sx_unpark(&parking);
	return rc;
}

static int run_round(struct suite *s, struct sx_error *err)
{
	int rc = run_floors(s, err);

	for (size_t i = 0; rc == 0 && i < CONTESTANTS; i++)
		rc = run_contestant(s, i, err);
	if (rc == 0)
		rc = run_peers(s, err);
	return rc;
}

/* ---- reporting ---- */

/* The clock's own cost comes off each sample, then a stream's sample is divided among messages. */
static int add_row(struct suite *s, size_t i, uint64_t clock, struct sx_error *err)
{
	const struct contestant *c = &contestants[i];
	struct sx_samples *m = &s->samples[i];
	uint32_t messages = c->messages ? c->messages : 1;
	struct sx_report_row row = {.batch = c->batch};
	int rc;

	for (size_t k = 0; k < m->count; k++)
		m->cycles[k] = m->cycles[k] > clock ? m->cycles[k] - clock : 0;
	snprintf(row.op, sizeof(row.op), "%s", c->op);
	snprintf(row.mode, sizeof(row.mode), "%s", c->mode);
	snprintf(row.where, sizeof(row.where), "%s", c->where);
	rc = sx_samples_summary(m, s->rig.tsc_khz, &row.time);
	if (rc < 0)
		return sx_fail(err, rc, "no samples of %s", c->op);
	row.time.p50_ns /= messages;
	row.time.p99_ns /= messages;
	row.time.p999_ns /= messages;
	row.time.mean_ns /= messages;
	row.exits_per_op = (double)s->outcome[i].exits / ((double)s->outcome[i].ops * messages);
	return sx_report_add_row(s->report, &row, err);
}

static int add_floors(struct suite *s, uint64_t *clock, struct sx_error *err)
{
	static const struct {
		const char *suffix;
		unsigned permille;
	} points[] = {{"p50", 500}, {"p99", 990}};
	int rc = sx_samples_percentile(&s->floor[FLOOR_CLOCK], 500, clock);

	for (unsigned f = 0; rc == 0 && f < FLOORS; f++) {
		for (size_t p = 0; rc == 0 && p < sizeof(points) / sizeof(points[0]); p++) {
			uint64_t off = f == FLOOR_CLOCK ? 0 : *clock;
			uint64_t cycles;
			char name[48];

			rc = sx_samples_percentile(&s->floor[f], points[p].permille, &cycles);
			if (rc < 0)
				return sx_fail(err, rc, "no samples of the floors");
			cycles = cycles > off ? cycles - off : 0;
			snprintf(name, sizeof(name), "%s_%s_ns", floor_names[f], points[p].suffix);
			rc = sx_report_add_floor(s->report, name,
						 sx_cycles_to_ns((double)cycles, s->rig.tsc_khz),
						 err);
		}
	}
	return rc;
}

static int add_peers(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	for (size_t b = 0; s->have_peer && rc == 0 && b < BURSTS; b++) {
		struct sx_report_peer peer = {
			.name = "rte_ring",
			.op = "stream_post",
			.burst = bursts[b],
			.samples = s->burst[b].count,
		};
		uint64_t ps;

		snprintf(peer.how, sizeof(peer.how), "%s", s->how[b]);
		rc = sx_samples_percentile(&s->burst[b], 500, &ps);
		if (rc < 0)
			return sx_fail(err, rc, "no samples of rte_ring");
		peer.p50_ns = (double)ps / 1000;
		rc = sx_report_add_peer(s->report, &peer, err);
	}
	return rc;
}

static int add_costs(struct suite *s, struct sx_error *err)
{
	struct sx_cost_process process;
	struct sx_parking parking;
	double idle;
	int rc;

	sx_progress_step(&s->progress, "idle pollers");
	rc = sx_cost_idle_poller(&s->rig, IDLE_POLLERS, &idle, err);
	/* Below 0 the machine's noise hides it, and it counts as not measured. */
	if (rc == 0 && idle >= 0)
		rc = sx_report_add_cost(s->report, "idle_poller_ns", idle, err);
	sx_progress_step(&s->progress, "memory and start-up");
	if (rc < 0)
		return rc;
	sx_park(&s->rig, &parking);
	rc = sx_cost_process(&s->rig, STARTS, &process, err);
	sx_unpark(&parking);
	if (rc == 0)
		rc = sx_report_add_cost(s->report, "private_kib", process.private_kib, err);
	if (rc == 0)
		rc = sx_report_add_cost(s->report, "resident_kib", process.resident_kib, err);
	if (rc == 0)
		rc = sx_report_add_cost(s->report, "exec_to_first_exit_ms", process.first_exit_ms,
					err);
	return rc;
}

static double peer_ns(const struct suite *s, uint32_t burst)
{
	for (size_t i = 0; i < s->report->peer_count; i++)
		if (s->report->peer[i].burst == burst)
			return s->report->peer[i].p50_ns;
	return SX_NOT_MEASURED;
}

static int add_targets(struct suite *s, struct sx_error *err)
{
	const struct sx_report *r = s->report;
	double pingpong = sx_report_floor(r, "pingpong_p50_ns");
	const struct sx_report_target targets[] = {
		{"request_reply split / cache-line ping-pong", "x", SX_AT_MOST, 1.15,
		 sx_report_ratio(sx_report_p50(r, "request_reply", "split", 0), pingpong), false},
		{"request_reply split, exits", "exits/op", SX_AT_MOST, 0.001,
		 sx_report_exits(r, "request_reply", "split"), false},
		{"doorbell on a shared page, exits", "exits/op", SX_AT_MOST, 0.001,
		 sx_report_exits(r, "doorbell", "split"), false},
		{"reg_write on a shared page, exits", "exits/op", SX_AT_MOST, 0.001,
		 sx_report_exits(r, "reg_write", "split"), false},
		{"doorbell trap / split", "x", SX_AT_LEAST, 100,
		 sx_report_ratio(sx_report_p50(r, "doorbell", "trap", 0),
				 sx_report_p50(r, "doorbell", "split", 0)),
		 false},
		{"reg_write trap / split", "x", SX_AT_LEAST, 100,
		 sx_report_ratio(sx_report_p50(r, "reg_write", "trap", 0),
				 sx_report_p50(r, "reg_write", "split", 0)),
		 false},
		{"rte_ring / stream_post, burst 1", "x", SX_AT_LEAST, 1.5,
		 sx_report_ratio(peer_ns(s, 1), sx_report_p50(r, "stream_post", "split", 1)),
		 false},
		{"rte_ring / stream_post, burst 32", "x", SX_AT_LEAST, 1,
		 sx_report_ratio(peer_ns(s, 32), sx_report_p50(r, "stream_post", "split", 32)),
		 false},
		{"forwarded exit / trap (reg_read)", "x", SX_AT_MOST, 1.05,
		 sx_report_ratio(sx_report_p50(r, "reg_read", "split", 0),
				 sx_report_p50(r, "reg_read", "trap", 0)),
		 false},
		{"idle poller, with 100 of them", "ns", SX_AT_MOST, 5,
		 sx_report_cost(r, "idle_poller_ns"), false},
		{"private memory beyond the guest's", "KiB", SX_AT_MOST, 6144,
		 sx_report_cost(r, "private_kib"), false},
		{"exec to the guest's first exit", "ms", SX_AT_MOST, 15,
		 sx_report_cost(r, "exec_to_first_exit_ms"), false},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(targets) / sizeof(targets[0]); i++)
		rc = sx_report_add_target(s->report, &targets[i], err);
	return rc;
}

static int report(struct suite *s, struct sx_error *err)
{
	uint64_t clock;
	int rc = add_floors(s, &clock, err);

	for (size_t i = 0; rc == 0 && i < CONTESTANTS; i++)
		rc = add_row(s, i, clock, err);
	if (rc == 0)
		rc = add_peers(s, err);
	if (rc == 0)
		rc = add_targets(s, err);
	return rc;
}

/* ---- the whole ---- */

static int prepare_samples(struct suite *s, struct sx_error *err)
{
	unsigned rounds = s->opt->rounds;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < CONTESTANTS; i++)
		rc = sx_samples_init(&s->samples[i], (size_t)rounds * contestants[i].samples, err);
	for (unsigned f = 0; rc == 0 && f < FLOORS; f++)
		rc = sx_samples_init(&s->floor[f], (size_t)rounds * 4 * FLOOR_ROUNDS, err);
	for (size_t b = 0; rc == 0 && b < BURSTS; b++)
		rc = sx_samples_init(&s->burst[b], (size_t)rounds * 5, err);
	return rc;
}

static int open_suite(struct suite *s, struct sx_error *err)
{
	char guest[4096];
	struct sx_rig_config config = {
		.guest = guest,
		.memory = GUEST_MEMORY,
		.guest_cores = s->opt->guest_cores,
		.sidecores = s->opt->sidecores,
	};
	struct sx_error missing = {0};
	int rc = sx_path_guest("exits", guest, sizeof(guest), err);

	if (rc == 0)
		rc = prepare_samples(s, err);
	if (rc == 0)
		rc = sx_rig_open(&s->rig, &config, err);
	if (rc < 0)
		return rc;
	s->doorbell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->doorbell_fd < 0)
		return sx_fail(err, -errno, "cannot create an eventfd: %s", strerror(errno));
	rc = sx_vm_add_ioeventfd(&s->rig.machine.vm, IOEVENTFD_GPA, 8, s->doorbell_fd, err);
	if (rc < 0)
		return rc;
	s->have_peer = sx_peer_start(&s->peer, "rte_ring", s->rig.guest_cpu, s->rig.side_cpu,
				     &missing) == 0;
	if (!s->have_peer)
		return sx_report_add_note(s->report, err, "rte_ring left out: %s", missing.text);
	return 0;
}

static void close_suite(struct suite *s)
{
	if (s->have_peer)
		sx_peer_stop(&s->peer);
	sx_rig_close(&s->rig);
	if (s->doorbell_fd >= 0)
		close(s->doorbell_fd);
	for (size_t i = 0; i < CONTESTANTS; i++)
		sx_samples_destroy(&s->samples[i]);
	for (unsigned f = 0; f < FLOORS; f++)
		sx_samples_destroy(&s->floor[f]);
	for (size_t b = 0; b < BURSTS; b++)
		sx_samples_destroy(&s->burst[b]);
}

int sx_exits_run(const struct sx_bench_options *opt, struct sx_report *r, struct sx_error *err)
{
	struct suite *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->opt = opt;
	s->report = r;
	s->doorbell_fd = -1;
	s->rig.kvm.fd = -1;
	rc = open_suite(s, err);
	if (rc == 0) {
		sx_progress_begin(&s->progress, stderr,
				  opt->rounds * ((unsigned)CONTESTANTS + 2) + 2);
		for (unsigned i = 0; rc == 0 && i < opt->rounds; i++)
			rc = run_round(s, err);
		if (rc == 0)
			rc = add_costs(s, err);
		sx_progress_end(&s->progress);
	}
	if (rc == 0)
		rc = report(s, err);
	close_suite(s);
	free(s);
	return rc;
}
