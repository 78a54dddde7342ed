// SPDX-License-Identifier: BSD-3-Clause
#include "bench/linux_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/contestant.h"
#include "bench/kvmcount.h"
#include "bench/kvmtrace.h"
#include "bench/link.h"
#include "bench/linux_work.h"
#include "bench/paths.h"
#include "bench/progress.h"
#include "bench/vmm.h"

#define APPEND "console=ttyS0 quiet panic=-1"

/* The host's end of the link; the guest's is in bench/linux/job.sh. */
#define TAP       "sxbench0"
#define TAP_OURS  "tap=sxbench0"
#define TAP_QEMU  "tap,id=net,ifname=sxbench0,script=no,downscript=no"
#define ADDRESS   "198.18.0.1"
#define MASK_BITS 30

#define DISK_MIB 64u

static const struct op {
	const char *name;
	const char *command; /* for the guest */
	bool disk;
} ops[] = {
	{"blk_randread_4k_qd1", "blk randread 1 4000\n", true},
	{"blk_randread_4k_qd32", "blk randread 32 20000\n", true},
	{"blk_randwrite_4k_qd1", "blk randwrite 1 4000\n", true},
	{"blk_randwrite_4k_qd32", "blk randwrite 32 20000\n", true},
	{"net_udp_stream_tx", "net udp tx 10\n", false},
	{"net_udp_stream_rx", "net udp rx 10\n", false},
	{"net_tcp_stream_tx", "net tcp tx 10\n", false},
	{"net_tcp_stream_rx", "net tcp rx 10\n", false},
};

#define OPS (sizeof(ops) / sizeof(ops[0]))

enum contestant { TRAP, SPLIT, QEMU, CONTESTANTS };

struct suite {
	const struct sx_bench_options *opt;
	struct sx_report *report;
	struct sx_progress progress;
	struct sx_contestant contestant[CONTESTANTS];
	struct sx_linux_work work[CONTESTANTS][OPS];
	bool takes_part[CONTESTANTS];
	bool untraced;  /* one of them */
	unsigned parts; /* how many do */

	/*
	 * Open from before the first guest until after the last. With the first counter of a task,
	 * and the first of a tracepoint, the kernel patches its scheduler and KVM, and with the
	 * last one again; an emulated host must not be patched where it runs (docs/lab.md,
	 * "Quirks"). What it counts, of this process, is nothing.
	 */
	struct sx_kvm_trace held;
	char image[32];
	char disk_ours[64], disk_qemu[96];
	const char *ours[8], *qemu[16]; /* the words of the devices */

	/* Of the one that runs. */
	struct sx_vmm vmm, server;
	struct sx_kvm_trace trace;
	bool traced;               /* else mmio_exits have to do */
	struct sx_kvm_counts idle; /* what a measurement of nothing costs */
};

/* ---- devices ---- */

static int fill(int fd, struct sx_error *err)
{
	static const char block[1 << 16] = {1, 2, 3};

	for (unsigned i = 0; i < DISK_MIB * 16; i++)
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			return sx_fail(err, -EIO,
				       "cannot write an image of %u MiB; make room in /tmp",
				       DISK_MIB);
	return 0;
}

/* Written, so that no request finds a hole. */
static int make_image(struct suite *s, struct sx_error *err)
{
	int fd, rc;

	snprintf(s->image, sizeof(s->image), "/tmp/splitx-bench.XXXXXX");
	fd = mkostemp(s->image, O_CLOEXEC);
	if (fd < 0) {
		rc = sx_fail(err, -errno, "cannot make an image in /tmp: %s", strerror(errno));
		s->image[0] = '\0';
		return rc;
	}
	rc = fill(fd, err);
	close(fd);
	return rc;
}

static void choose_devices(struct suite *s)
{
	const char *const ours[] = {"--disk", s->disk_ours, "--net", TAP_OURS, NULL};
	const char *const qemu[] = {
		"-drive",  s->disk_qemu, "-device", "virtio-blk-pci,drive=disk",
		"-netdev", TAP_QEMU,     "-device", "virtio-net-pci,netdev=net,romfile=",
		NULL};

	snprintf(s->disk_ours, sizeof(s->disk_ours), "%s", s->image);
	snprintf(s->disk_qemu, sizeof(s->disk_qemu),
		 "file=%s,if=none,id=disk,format=raw,aio=io_uring", s->image);
	memcpy(s->ours, ours, sizeof(ours));
	memcpy(s->qemu, qemu, sizeof(qemu));
	s->contestant[TRAP] = (struct sx_contestant){"trap", NULL, s->ours};
	s->contestant[SPLIT] = (struct sx_contestant){"split", NULL, s->ours};
	s->contestant[QEMU] = (struct sx_contestant){"qemu", "q35", s->qemu};
}

/* ---- one guest ---- */

/* The other end of the guest's streams, on the host's end of its tap, which is there by now. */
static int start_server(struct suite *s, struct sx_error *err)
{
	static const char *const argv[] = {"iperf3", "-s", "-B", ADDRESS, NULL};
	int rc = sx_link_set_address(TAP, ADDRESS, MASK_BITS, err);

	return rc < 0 ? rc : sx_vmm_start(&s->server, "iperf3", argv, err);
}

/* What is traced takes the place of two counters, which do not know the serial port from others. */
static int count(void *ctx, struct sx_kvm_counts *counts, struct sx_error *err)
{
	struct suite *s = ctx;
	int rc = sx_kvm_counts_read(SX_KVM_DEBUGFS, s->vmm.pid, counts, err);

	if (rc < 0 || !s->traced)
		return rc;
	counts->value[SX_KVM_IO] = 0;
	return sx_kvm_trace_read(&s->trace, &counts->value[SX_KVM_MMIO], err);
}

static int measure_op(struct suite *s, size_t i, size_t k, struct sx_error *err)
{
	struct sx_linux_result result;
	struct sx_kvm_counts exits;
	char what[64];
	int rc;

	snprintf(what, sizeof(what), "%s, %s", ops[k].name, s->contestant[i].mode);
	sx_progress_step(&s->progress, what);
	rc = sx_linux_measure(&s->vmm, ops[k].command, count, s, &result, &exits, err);
	/* The talk over the serial port is no part of the work. */
	if (rc == 0)
		sx_linux_work_add(&s->work[i][k], &result, &exits, &s->idle);
	return rc;
}

static int work(struct suite *s, size_t i, struct sx_error *err)
{
	struct sx_linux_result ignored;
	const char *uptime;
	int rc = sx_vmm_expect(&s->vmm, "init", SX_LINUX_STEP_S, &uptime, err);

	if (rc == 0)
		rc = start_server(s, err);
	s->traced = rc == 0 && sx_kvm_trace_open(&s->trace, SX_TRACEFS, s->vmm.pid, NULL) == 0;
	s->untraced |= !s->traced;
	/* The first time costs more. */
	for (unsigned n = 0; rc == 0 && n < 2; n++)
		rc = sx_linux_measure(&s->vmm, "nothing\n", count, s, &ignored, &s->idle, err);
	for (size_t k = 0; rc == 0 && k < OPS; k++)
		rc = measure_op(s, i, k, err);
	if (rc == 0)
		rc = sx_vmm_say(&s->vmm, "end\n", err);
	return rc < 0 ? rc : sx_vmm_finish(&s->vmm, SX_LINUX_STEP_S, err);
}

static int run_contestant(struct suite *s, size_t i, struct sx_error *err)
{
	struct sx_command_line line;
	int rc = sx_contestant_command(&s->contestant[i], s->opt, APPEND, &line, err);

	if (rc == 0)
		rc = sx_vmm_start(&s->vmm, s->contestant[i].mode, line.argv, err);
	if (rc < 0)
		return rc;
	rc = work(s, i, err);
	sx_kvm_trace_close(&s->trace);
	sx_vmm_stop(&s->server);
	sx_vmm_stop(&s->vmm);
	return rc;
}

/* ---- reporting ---- */

static int add_row(struct suite *s, size_t i, size_t k, struct sx_error *err)
{
	struct sx_report_row row = {0};
	int rc;

	snprintf(row.op, sizeof(row.op), "%s", ops[k].name);
	snprintf(row.mode, sizeof(row.mode), "%s", s->contestant[i].mode);
	snprintf(row.where, sizeof(row.where), "%s", s->opt->where);
	rc = sx_linux_work_row(&s->work[i][k], &row, err);
	return rc < 0 ? rc : sx_report_add_row(s->report, &row, err);
}

static int add_target(struct suite *s, const struct op *op, struct sx_error *err)
{
	const struct sx_report_row *row = sx_report_find(s->report, op->name, "split", 0);
	struct sx_report_target t = {
		.unit = "exits/op",
		.bound = SX_AT_MOST,
		.target = 0.01,
		.measured = row ? row->causes.device : SX_NOT_MEASURED,
	};

	snprintf(t.name, sizeof(t.name), "%s split, by the device", op->name);
	return sx_report_add_target(s->report, &t, err);
}

static int report(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	for (size_t k = 0; rc == 0 && k < OPS; k++)
		for (size_t i = 0; rc == 0 && i < CONTESTANTS; i++)
			if (s->takes_part[i])
				rc = add_row(s, i, k, err);
	for (size_t k = 0; rc == 0 && k < OPS && s->takes_part[SPLIT]; k++)
		rc = add_target(s, &ops[k], err);
	if (rc == 0 && s->untraced)
		rc = sx_report_add_note(s->report, err,
					"without tracefs, device exits leave out what KVM serves "
					"itself, as QEMU's ioeventfds");
	return rc;
}

/* ---- the whole ---- */

static int open_suite(struct suite *s, struct sx_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < CONTESTANTS; i++)
		for (size_t k = 0; k < OPS; k++)
			if (rc == 0)
				rc = sx_linux_work_init(&s->work[i][k], s->opt->rounds, err);
	if (rc == 0 && !sx_path_has_program("iperf3"))
		rc = sx_fail(err, -ENOENT, "iperf3 is not in PATH; install it");
	if (rc == 0)
		rc = make_image(s, err);
	choose_devices(s);
	/* Without it the guests' will not open either, and a note says so. */
	if (rc == 0)
		sx_kvm_trace_open(&s->held, SX_TRACEFS, getpid(), NULL);
	if (rc == 0)
		rc = sx_contestants_choose(s->contestant, CONTESTANTS, s->opt, s->report,
					   s->takes_part, err);
	if (rc > 0)
		s->parts = (unsigned)rc;
	return rc < 0 ? rc : 0;
}

static void close_suite(struct suite *s)
{
	for (size_t i = 0; i < CONTESTANTS; i++)
		for (size_t k = 0; k < OPS; k++)
			sx_linux_work_destroy(&s->work[i][k]);
	sx_kvm_trace_close(&s->held);
	if (s->image[0])
		unlink(s->image);
}

int sx_linux_io_run(const struct sx_bench_options *opt, struct sx_report *r, struct sx_error *err)
{
	struct suite *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->opt = opt;
	s->report = r;
	s->vmm.fd = s->vmm.err_fd = s->server.fd = s->server.err_fd = -1;
	r->by_machine = true;
	rc = open_suite(s, err);
	if (rc == 0) {
		sx_progress_begin(&s->progress, stderr, opt->rounds * (unsigned)OPS * s->parts);
		for (unsigned n = 0; rc == 0 && n < opt->rounds; n++)
			for (size_t i = 0; rc == 0 && i < CONTESTANTS; i++)
				if (s->takes_part[i])
					rc = run_contestant(s, i, err);
		sx_progress_end(&s->progress);
	}
	if (rc == 0)
		rc = report(s, err);
	close_suite(s);
	free(s);
	return rc;
}
