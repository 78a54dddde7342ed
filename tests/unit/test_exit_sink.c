// SPDX-License-Identifier: BSD-3-Clause
/*
 * The two exit sinks: a guest cannot tell which of them it has.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/rcu.h"
#include "ipc/wire/boot.h"
#include "ipc/wire/types.h"
#include "sidecore/debug_exit.h"
#include "sidecore/exit_sink.h"
#include "sidecore/sidecore.h"
#include "sidecore/testdev.h"
#include "sidecore/uart16550.h"
#include "tests/support/worker.h"

#define VCPUS       4
#define TESTDEV_GPA 0xfe000000ull
#define ODD_GPA     0xfe010000ull

#define REG(name) offsetof(struct sx_testdev_regs, name)

/* A device that does what a test tells it. */
struct odd {
	struct sx_bus_range range;
	int rc;           /* what its functions return */
	pthread_t thread; /* who called last */
	pid_t wait_for;   /* thread that must be asleep before read() returns; 0: none */
	uint64_t value;   /* what reads give */
};

enum kind {
	TRAP,
	SPLIT,       /* everyone polls */
	SPLIT_SLEEP, /* everyone sleeps as soon as possible */
};

struct machine {
	enum kind kind;
	struct sx_bus bus;
	struct sx_byte_queue out, in;
	struct sx_irq irq;
	struct sx_testdev testdev;
	struct sx_bus_range testdev_range;
	struct sx_debug_exit debug_exit;
	struct sx_uart uart;
	struct odd odd;
	struct sx_trap_sink trap;
	struct sx_split_sink split;
	unsigned sidecores; /* with an exit server on each */
	struct sx_exit_server server[2];
	struct sx_sidecore *sidecore[2];
	struct sx_exit_sink sink;
};

static int odd_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct odd *o = dev;

	(void)offset;
	(void)size;
	while (o->wait_for && !sx_test_asleep(o->wait_for))
		usleep(50);
	o->thread = pthread_self();
	*value = o->value;
	return o->rc;
}

static int odd_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	(void)value;
	return odd_read(dev, offset, size, &value);
}

static const struct sx_bus_ops odd_ops = {.read = odd_read, .write = odd_write};

static struct sx_wait_policy policy(enum kind kind)
{
	return (struct sx_wait_policy){SX_SPIN_PAUSE, kind == SPLIT_SLEEP ? 1 : 0};
}

static void add_devices(struct machine *m)
{
	assert_int_equal(sx_byte_queue_init(&m->out, NULL), 0);
	assert_int_equal(sx_byte_queue_init(&m->in, NULL), 0);
	assert_int_equal(sx_irq_init(&m->irq, NULL), 0);
	sx_testdev_init(&m->testdev, &m->irq);
	m->testdev_range = (struct sx_bus_range){.name = "testdev",
						 .space = SX_BUS_MMIO,
						 .base = TESTDEV_GPA,
						 .size = SX_TESTDEV_SIZE,
						 .ops = &sx_testdev_bus_ops,
						 .dev = &m->testdev};
	sx_debug_exit_init(&m->debug_exit);
	sx_uart_init(&m->uart, &m->out, &m->in, NULL);
	m->odd = (struct odd){.range = {.name = "odd",
					.space = SX_BUS_MMIO,
					.base = ODD_GPA,
					.size = 0x1000,
					.ops = &odd_ops,
					.dev = &m->odd}};
	assert_int_equal(sx_bus_add(&m->bus, &m->testdev_range, NULL), 0);
	assert_int_equal(sx_bus_add(&m->bus, &m->debug_exit.range, NULL), 0);
	assert_int_equal(sx_bus_add(&m->bus, &m->uart.range, NULL), 0);
	assert_int_equal(sx_bus_add(&m->bus, &m->odd.range, NULL), 0);
}

/* Of sidecores that poll for ever only one: the machine may have no more cores to spare. */
static void start_split(struct machine *m)
{
	const struct sx_wait_policy wait = policy(m->kind);
	const struct sx_sidecore_config config = {.cpu = -1, .wait = wait, .nap_ns = 50000};

	m->sidecores = m->kind == SPLIT ? 1 : 2;
	for (unsigned i = 0; i < m->sidecores; i++) {
		assert_int_equal(sx_exit_server_init(&m->server[i], &m->bus, VCPUS, &wait, NULL),
				 0);
		assert_int_equal(sx_sidecore_start(&m->sidecore[i], &config, NULL), 0);
		assert_int_equal(sx_sidecore_add(m->sidecore[i], &m->server[i].poller), 0);
	}
	m->split = (struct sx_split_sink){.bus = &m->bus, .first = &m->server[0]};
	m->sink = sx_split_sink(&m->split);
}

static void start(struct machine *m, enum kind kind, bool strict)
{
	memset(m, 0, sizeof(*m));
	m->kind = kind;
	sx_bus_init(&m->bus, strict);
	add_devices(m);
	sx_trap_sink_init(&m->trap, &m->bus);
	m->sink = sx_trap_sink(&m->trap);
	if (kind != TRAP)
		start_split(m);
}

/* Afterwards the counters are at rest. */
static void stop(struct machine *m)
{
	for (unsigned i = 0; i < m->sidecores; i++) {
		sx_sidecore_stop(m->sidecore[i]);
		sx_exit_server_destroy(&m->server[i]);
	}
	sx_trap_sink_destroy(&m->trap);
	sx_irq_destroy(&m->irq);
	sx_byte_queue_destroy(&m->out);
	sx_byte_queue_destroy(&m->in);
	sx_bus_destroy(&m->bus);
}

/* One exit of a vCPU; the caller is a registered RCU reader, offline. */
static int take_exit(struct machine *m, struct sx_exit *x)
{
	int rc;

	rcu_thread_online();
	rc = m->sink.handle(m->sink.ctx, x);
	rcu_thread_offline();
	return rc;
}

static int mmio_write(struct machine *m, unsigned vcpu, uint64_t gpa, uint64_t value)
{
	return take_exit(m, &(struct sx_exit){SX_EXIT_MMIO_WRITE, 8, vcpu, gpa, value});
}

static uint64_t mmio_read(struct machine *m, unsigned vcpu, uint64_t gpa)
{
	struct sx_exit x = {SX_EXIT_MMIO_READ, 8, vcpu, gpa, 0};

	assert_int_equal(take_exit(m, &x), SX_EXIT_CONTINUE);
	return x.value;
}

static int set_up(void **state)
{
	(void)state;
	sx_rcu_register();
	rcu_thread_offline();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sx_rcu_unregister();
	return 0;
}

/* ---- the same results ---- */

#define SCRIPT 600

/* A number that looks random and is the same in every run (the finaliser of splitmix64). */
static uint64_t scramble(uint64_t i)
{
	i *= 0x9e3779b97f4a7c15ull;
	i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9ull;
	i = (i ^ i >> 27) * 0x94d049bb133111ebull;
	return i ^ i >> 31;
}

/* Access number @i of the script: all devices, all sizes, and places where there is none. */
static struct sx_exit script(unsigned i)
{
	static const struct {
		uint64_t base, span, step;
		bool port;
	} places[] = {
		{TESTDEV_GPA, 4, 8, false},
		{TESTDEV_GPA + REG(id), 6, 8, false},
		{TESTDEV_GPA + SX_TESTDEV_SIZE - 8, 16, 1, false},
		{SX_PORT_UART - 1, 10, 1, true},
		{SX_PORT_DEBUG_EXIT - 1, 6, 1, true},
		{0, 64, 1, false},
	};
	static const unsigned sizes[] = {8, 1, 2, 4, 8, 1, 3, 8};
	uint64_t random = scramble(i);
	unsigned at = i % 6;
	bool port = places[at].port;
	bool write = random & 1;

	return (struct sx_exit){
		.kind = port ? (write ? SX_EXIT_PIO_OUT : SX_EXIT_PIO_IN)
			     : (write ? SX_EXIT_MMIO_WRITE : SX_EXIT_MMIO_READ),
		.size = sizes[(random >> 8) % 8],
		.vcpu = i % VCPUS,
		.addr = places[at].base + (random >> 16) % places[at].span * places[at].step,
		.value = write ? random : 0,
	};
}

static void want_same_devices(const struct machine *a, const struct machine *b)
{
	assert_int_equal(a->testdev.scratch, b->testdev.scratch);
	assert_int_equal(a->testdev.rings, b->testdev.rings);
	assert_int_equal(a->testdev.raised, b->testdev.raised);
	assert_int_equal(a->testdev.acked, b->testdev.acked);
	assert_int_equal(a->testdev.refused, b->testdev.refused);
	assert_int_equal(a->irq.raised, b->irq.raised);
	assert_int_equal(a->debug_exit.code, b->debug_exit.code);
	assert_int_equal(a->uart.bytes_out, b->uart.bytes_out);
	assert_int_equal(a->uart.refused, b->uart.refused);
	assert_int_equal(a->bus.nowhere, b->bus.nowhere);
	assert_int_equal(a->testdev_range.reads, b->testdev_range.reads);
	assert_int_equal(a->testdev_range.writes, b->testdev_range.writes);
	assert_int_equal(a->uart.range.reads, b->uart.range.reads);
	assert_int_equal(a->debug_exit.range.writes, b->debug_exit.range.writes);
}

/* The script touched everything it is meant to; else the comparison would prove little. */
static void want_a_full_script(const struct machine *m)
{
	assert_true(m->testdev.rings > 0 && m->irq.raised > 0 && m->testdev.refused > 0);
	assert_true(m->uart.bytes_out > 0 && m->uart.refused > 0);
	assert_true(m->debug_exit.ended && m->bus.nowhere > 0);
}

static void compare(enum kind kind, bool strict)
{
	static struct machine a, b;
	unsigned refused = 0;

	start(&a, TRAP, strict);
	start(&b, kind, strict);
	for (unsigned i = 0; i < SCRIPT; i++) {
		struct sx_exit xa = script(i), xb = script(i);
		int ra = take_exit(&a, &xa), rb = take_exit(&b, &xb);

		assert_int_equal(ra, rb);
		assert_int_equal(xa.value, xb.value);
		refused += ra < 0;
	}
	stop(&a);
	stop(&b);
	assert_int_equal(refused > 0, strict);
	want_same_devices(&a, &b);
	if (!strict)
		want_a_full_script(&a);
	/* What nobody has costs no message. */
	assert_int_equal(b.server[0].served, SCRIPT - (strict ? refused : b.bus.nowhere));
}

static void a_script_gives_the_same_when_all_poll(void **state)
{
	(void)state;
	compare(SPLIT, false);
}

static void a_script_gives_the_same_when_all_sleep(void **state)
{
	(void)state;
	compare(SPLIT_SLEEP, false);
}

static void a_strict_bus_refuses_the_same_accesses(void **state)
{
	(void)state;
	compare(SPLIT_SLEEP, true);
}

/* ---- errors and ends ---- */

static void what_the_device_answers_reaches_the_vcpu(void **state)
{
	static const int answers[] = {SX_EXIT_CONTINUE, SX_EXIT_STOP, -EIO, -ENOMEM, -4095};
	static struct machine m;

	(void)state;
	for (enum kind kind = TRAP; kind <= SPLIT_SLEEP; kind++) {
		start(&m, kind, false);
		for (unsigned i = 0; i < 5; i++) {
			m.odd.rc = answers[i];
			assert_int_equal(mmio_write(&m, 0, ODD_GPA, 1), answers[i]);
		}
		stop(&m);
	}
}

static void an_error_on_one_vcpu_leaves_the_others_alone(void **state)
{
	static struct machine m;

	(void)state;
	for (enum kind kind = TRAP; kind <= SPLIT_SLEEP; kind++) {
		start(&m, kind, true);
		m.odd.rc = -EIO;
		assert_int_equal(mmio_write(&m, 1, ODD_GPA, 1), -EIO);
		assert_int_equal(mmio_write(&m, 2, 0x1000, 1), -ENXIO);
		for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++)
			assert_int_equal(mmio_read(&m, vcpu, TESTDEV_GPA + REG(id)),
					 SX_TESTDEV_ID_VALUE);
		stop(&m);
	}
}

static void a_write_to_debug_exit_ends_the_guest(void **state)
{
	static struct machine m;

	(void)state;
	for (enum kind kind = TRAP; kind <= SPLIT_SLEEP; kind++) {
		struct sx_exit x = {SX_EXIT_PIO_OUT, 4, 3, SX_PORT_DEBUG_EXIT, 42};

		start(&m, kind, true);
		assert_int_equal(take_exit(&m, &x), SX_EXIT_STOP);
		/* The first one decides. */
		x.value = 43;
		assert_int_equal(take_exit(&m, &x), SX_EXIT_STOP);
		assert_int_equal(m.debug_exit.code, 42);
		stop(&m);
	}
}

/* ---- who does the work ---- */

static void note_thread(void *ctx)
{
	*(pthread_t *)ctx = pthread_self();
}

static void trapped_exits_run_on_the_vcpus_own_thread(void **state)
{
	static struct machine m;

	(void)state;
	start(&m, TRAP, true);
	mmio_read(&m, 0, ODD_GPA);
	assert_true(pthread_equal(m.odd.thread, pthread_self()));
	stop(&m);
}

static void split_exits_run_on_the_sidecore_of_the_ranges_owner(void **state)
{
	static struct machine m;
	pthread_t sidecore[2];

	(void)state;
	start(&m, SPLIT_SLEEP, true);
	for (unsigned i = 0; i < 2; i++)
		sx_sidecore_call(m.sidecore[i], note_thread, &sidecore[i]);
	/* Without an owner: the first server's. */
	mmio_read(&m, 0, ODD_GPA);
	assert_true(pthread_equal(m.odd.thread, sidecore[0]));
	m.odd.range.owner = &m.server[1];
	mmio_read(&m, 0, ODD_GPA);
	assert_true(pthread_equal(m.odd.thread, sidecore[1]));
	/* Nobody is asked about what belongs to nobody. */
	assert_int_equal(mmio_write(&m, 0, 0x5000, 0), -ENXIO);
	stop(&m);
	assert_int_equal(m.server[0].served, 1);
	assert_int_equal(m.server[1].served, 1);
}

/* ---- many vCPUs ---- */

struct vcpu {
	struct machine *m;
	unsigned index;
	unsigned exits;
	unsigned wrong;
	pthread_t thread;
};

/* Doorbells, and its own port in between: a reply meant for another vCPU would show. */
static void *ring_doorbells(void *arg)
{
	struct vcpu *v = arg;

	sx_rcu_register();
	rcu_thread_offline();
	for (unsigned i = 0; i < v->exits; i++) {
		unsigned size = 1 + v->index * 2;
		struct sx_exit x = {SX_EXIT_PIO_IN, size, v->index, 0x5000 + v->index, 0};

		v->wrong += mmio_write(v->m, v->index, TESTDEV_GPA + REG(doorbell), i) !=
			    SX_EXIT_CONTINUE;
		v->wrong += take_exit(v->m, &x) != SX_EXIT_CONTINUE;
		v->wrong += x.value != sx_bus_all_ones(size);
	}
	sx_rcu_unregister();
	return NULL;
}

static void launch(struct machine *m, struct vcpu *v, unsigned count, unsigned exits)
{
	for (unsigned i = 0; i < count; i++) {
		v[i] = (struct vcpu){.m = m, .index = i, .exits = exits};
		assert_int_equal(pthread_create(&v[i].thread, NULL, ring_doorbells, &v[i]), 0);
	}
}

static void join(struct vcpu *v, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		pthread_join(v[i].thread, NULL);
		assert_int_equal(v[i].wrong, 0);
	}
}

static void several_vcpus_at_once_lose_no_access(void **state)
{
	static const unsigned exits[] = {[TRAP] = 20000, [SPLIT] = 30, [SPLIT_SLEEP] = 2000};
	static struct machine m;
	struct vcpu v[VCPUS];

	(void)state;
	for (enum kind kind = TRAP; kind <= SPLIT_SLEEP; kind++) {
		start(&m, kind, false);
		launch(&m, v, VCPUS, exits[kind]);
		join(v, VCPUS);
		stop(&m);
		assert_int_equal(m.testdev.rings, VCPUS * exits[kind]);
		assert_int_equal(m.bus.nowhere, VCPUS * exits[kind]);
		if (kind != TRAP)
			assert_int_equal(m.server[0].served, VCPUS * exits[kind]);
	}
}

static void an_exit_server_moves_while_vcpus_exit(void **state)
{
	static struct machine m;
	struct vcpu v[2];

	(void)state;
	start(&m, SPLIT_SLEEP, false);
	launch(&m, v, 2, 3000);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(sx_sidecore_move(m.sidecore[~i & 1], &m.server[0].poller), 0);
	join(v, 2);
	stop(&m);
	assert_int_equal(m.testdev.rings, 2 * 3000);
	assert_int_equal(m.server[0].served, 2 * 3000);
}

static void ranges_come_and_go_while_vcpus_exit(void **state)
{
	static struct machine m;
	struct vcpu v[2];
	uint64_t taken;

	(void)state;
	start(&m, SPLIT_SLEEP, false);
	launch(&m, v, 2, 3000);
	for (unsigned i = 0; i < 300; i++) {
		sx_bus_remove(&m.bus, &m.testdev_range);
		assert_int_equal(sx_bus_add(&m.bus, &m.testdev_range, NULL), 0);
	}
	join(v, 2);
	stop(&m);
	/* Each write went to the device or, between two, to nowhere. */
	taken = m.testdev.rings;
	assert_int_equal(taken + m.bus.nowhere, 4 * 3000);
	assert_int_equal(m.testdev_range.writes, taken);
}

/* ---- sleep ---- */

static void a_vcpu_that_sleeps_is_woken_by_its_reply(void **state)
{
	static struct machine m;

	(void)state;
	start(&m, SPLIT_SLEEP, true);
	/* The device answers only once the vCPU's thread is really asleep. */
	m.odd.wait_for = gettid();
	for (uint64_t i = 1; i <= 200; i++) {
		m.odd.value = i;
		assert_int_equal(mmio_read(&m, 0, ODD_GPA), i);
	}
	stop(&m);
}

static void a_sidecore_that_sleeps_is_woken_by_an_exit(void **state)
{
	static struct machine m;
	uint64_t sleeps = 0;

	(void)state;
	start(&m, SPLIT_SLEEP, true);
	for (unsigned i = 0; i < 200; i++) {
		/* It has gone to sleep at least once since the last exit. */
		SX_WAIT_UNTIL(sx_test_stats(m.sidecore[0]).sleeps > sleeps);
		sleeps = sx_test_stats(m.sidecore[0]).sleeps;
		mmio_read(&m, 0, TESTDEV_GPA + REG(id));
	}
	stop(&m);
	assert_int_equal(m.server[0].served, 200);
}

static void a_server_whose_vcpus_poll_has_no_sleep(void **state)
{
	static struct machine m;

	(void)state;
	start(&m, SPLIT, true);
	assert_null(m.server[0].poller.sleep);
	stop(&m);
	start(&m, SPLIT_SLEEP, true);
	assert_non_null(m.server[0].poller.sleep);
	assert_non_null(m.server[0].poller.awake);
	stop(&m);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_script_gives_the_same_when_all_poll),
		CASE(a_script_gives_the_same_when_all_sleep),
		CASE(a_strict_bus_refuses_the_same_accesses),
		CASE(what_the_device_answers_reaches_the_vcpu),
		CASE(an_error_on_one_vcpu_leaves_the_others_alone),
		CASE(a_write_to_debug_exit_ends_the_guest),
		CASE(trapped_exits_run_on_the_vcpus_own_thread),
		CASE(split_exits_run_on_the_sidecore_of_the_ranges_owner),
		CASE(several_vcpus_at_once_lose_no_access),
		CASE(an_exit_server_moves_while_vcpus_exit),
		CASE(ranges_come_and_go_while_vcpus_exit),
		CASE(a_vcpu_that_sleeps_is_woken_by_its_reply),
		CASE(a_sidecore_that_sleeps_is_woken_by_an_exit),
		CASE(a_server_whose_vcpus_poll_has_no_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
