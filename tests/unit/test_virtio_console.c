// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-console between a driver and two byte queues (virtio 1.2, 5.3): both directions, what
 * waits when the other side is slow, the size of the terminal, and what is refused. In both modes
 * and with every kind of ring; in split mode the test is the poller, and in the last case a
 * sidecore that sleeps is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <sched.h>

#include "ipc/rcu.h"
#include "sidecore/sidecore.h"
#include "sidecore/virtio/console.h"
#include "tests/support/virtio_world.h"

enum { RECEIVE, TRANSMIT, QUEUES };

#define SIZE VIRTIO_CONSOLE_F_SIZE
#define DATA (64u << 10)

static struct bench {
	struct vw_world w;
	struct sx_byte_queue out, in;
	struct sx_virtio_console console;
	struct sx_virtio_pci pci;
	struct vw_driver d;
	sx_gpa text, room; /* DATA bytes each: said from, and heard into */
	uint8_t got[DATA]; /* what the terminal has got */
	uint32_t got_len;
} b;

/* ---- the world ---- */

static void plug_in(bool polled, bool may_sleep)
{
	struct sx_virtio_env env;

	memset(&b, 0, sizeof(b));
	vw_init(&b.w, 1 << 20);
	env = vw_env(&b.w, polled);
	env.may_sleep = may_sleep;
	env.console_out = &b.out;
	env.console_in = &b.in;
	assert_int_equal(sx_byte_queue_init(&b.out, NULL), 0);
	assert_int_equal(sx_byte_queue_init(&b.in, NULL), 0);
	assert_int_equal(sx_virtio_console_init(&b.console, &env, NULL), 0);
	assert_int_equal(sx_virtio_pci_init(&b.pci, &b.console.dev, &b.w.host, SX_PCI_ANY, NULL),
			 0);
	b.text = vd_alloc(&b.w.memory, DATA, 64);
	b.room = vd_alloc(&b.w.memory, DATA, 64);
	for (unsigned i = 0; i < DATA; i++)
		((uint8_t *)vd_at(&b.w.memory, b.text))[i] = (uint8_t)(i * 7 + i / 251);
}

static void bring_up(uint64_t features)
{
	vw_bring_up(&b.d, &b.w, b.pci.function.devfn, features, QUEUES, 0);
}

static void unplug(void)
{
	vw_stop(&b.d);
	sx_virtio_pci_destroy(&b.pci);
	sx_virtio_console_destroy(&b.console);
	sx_byte_queue_destroy(&b.out);
	sx_byte_queue_destroy(&b.in);
	vw_destroy(&b.w);
}

struct test {
	void (*run)(void);
};

/* In each mode on each kind of ring. */
static void everywhere(void **state)
{
	const struct test *test = *state;
	static const uint64_t features[] = {
		SX_VIRTIO_BIT(SIZE), SX_VIRTIO_BIT(SIZE) | SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED),
		SX_VIRTIO_BIT(SIZE) | SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX), UINT64_MAX};

	for (unsigned i = 0; i < 8; i++) {
		plug_in(i & 1, false);
		bring_up(features[i / 2]);
		test->run();
		unplug();
	}
}

/* The terminal's side has moved bytes; in trap mode that, and nothing else, wakes the device. */
static void serve(void)
{
	struct pollfd wake = {.fd = b.console.dev.wake_fd, .events = POLLIN};

	sx_virtio_console_moved(&b.console);
	if (!b.console.dev.env.polled)
		assert_int_equal(poll(&wake, 1, 0), 1);
	sx_virtio_device_poll(&b.console.dev);
	if (!b.console.dev.env.polled)
		assert_int_equal(poll(&wake, 1, 0), 0);
}

/* In trap mode the notification did it; a sidecore does it by itself. */
static void turn(void)
{
	if (b.console.dev.env.polled && !b.console.dev.group[0].poller.sidecore)
		sx_virtio_device_poll(&b.console.dev);
}

/* Output of @len bytes from @from of the text on, in pieces of @piece bytes. */
static void say(uint32_t from, uint32_t len, uint32_t piece)
{
	struct vd_buffer buffer[64];
	unsigned n = 0;

	for (uint32_t at = 0; at < len; at += piece)
		buffer[n++] =
			(struct vd_buffer){b.text + from + at, len - at < piece ? len - at : piece};
	assert_int_equal(vd_add(&b.d.queue[TRANSMIT], buffer, n, 0, NULL), 0);
	vw_kick(&b.d, TRANSMIT);
	turn();
}

static int take(unsigned queue, uint32_t *len)
{
	void *token;

	return vd_take(&b.d.queue[queue], &token, len);
}

static void expect_said(unsigned chains)
{
	uint32_t len;

	for (unsigned i = 0; i < chains; i++) {
		assert_int_equal(take(TRANSMIT, &len), 1);
		assert_int_equal(len, 0);
	}
	assert_int_equal(take(TRANSMIT, &len), 0);
}

/* Take at most @max bytes off the terminal's end; returns how many there were. */
static uint32_t listen(uint32_t max)
{
	uint32_t n = sx_byte_queue_pull(&b.out, b.got + b.got_len, max);

	b.got_len += n;
	return n;
}

static void expect_heard(uint32_t from, uint32_t len)
{
	while (listen(DATA - b.got_len))
		;
	assert_int_equal(b.got_len, len);
	assert_memory_equal(b.got, vd_at(&b.w.memory, b.text + from), len);
	b.got_len = 0;
}

static void give_room(uint32_t at, uint32_t len)
{
	const struct vd_buffer buffer = {b.room + at, len};

	assert_int_equal(vd_add(&b.d.queue[RECEIVE], &buffer, 0, 1, NULL), 0);
	vw_kick(&b.d, RECEIVE);
	turn();
}

static void type(const void *bytes, uint32_t len)
{
	assert_int_equal(sx_byte_queue_push(&b.in, bytes, len), len);
	serve();
}

static void expect_typed(uint32_t at, const void *bytes, uint32_t len)
{
	uint32_t used;

	assert_int_equal(take(RECEIVE, &used), 1);
	assert_int_equal(used, len);
	assert_memory_equal(vd_at(&b.w.memory, b.room + at), bytes, len);
}

/* ---- output ---- */

static void what_is_said_is_heard(void)
{
	say(0, 80, 80);
	expect_said(1);
	assert_int_equal(vw_queue_interrupts(&b.d, TRANSMIT), 1);
	expect_heard(0, 80);
	say(3, 1, 1);
	say(4, 200, 200);
	expect_said(2);
	expect_heard(3, 201);
	assert_int_equal(b.console.bytes_out, 281);
}

static void however_it_is_cut(void)
{
	for (uint32_t piece = 1; piece < 50; piece += 4) {
		say(5, piece * 30 + piece / 2, piece);
		expect_said(1);
		expect_heard(5, piece * 30 + piece / 2);
	}
}

static void what_does_not_fit_waits(void)
{
	const uint32_t all = 3 * SX_BYTE_QUEUE_SIZE + 17;

	say(0, all, 1000);
	say(all, 10, 10);
	for (unsigned i = 0; i < 3; i++) {
		expect_said(0);
		assert_int_equal(sx_byte_queue_room(&b.out), 0);
		/* Until somebody listens nothing changes. */
		serve();
		assert_int_equal(b.console.bytes_out, (i + 1) * SX_BYTE_QUEUE_SIZE);
		assert_int_equal(listen(SX_BYTE_QUEUE_SIZE), SX_BYTE_QUEUE_SIZE);
		assert_int_equal(vw_queue_interrupts(&b.d, TRANSMIT), 0);
		serve();
	}
	expect_said(2);
	expect_heard(0, all + 10);
	assert_int_equal(b.console.bytes_out, all + 10);
}

/* Byte by byte, so that room ends within each segment. */
static void what_does_not_fit_waits_at_any_byte(void)
{
	const uint32_t all = SX_BYTE_QUEUE_SIZE + 600;
	uint32_t len;

	say(0, SX_BYTE_QUEUE_SIZE, 512);
	expect_said(1);
	say(SX_BYTE_QUEUE_SIZE, 600, 37);
	for (unsigned i = 0; i < 600; i++) {
		assert_int_equal(take(TRANSMIT, &len), 0);
		assert_int_equal(listen(1), 1);
		serve();
	}
	expect_said(1);
	expect_heard(0, all);
}

/* The next driver's first words are its own. */
static void a_reset_forgets_what_did_not_fit(void)
{
	const uint64_t features = b.d.features;

	say(0, SX_BYTE_QUEUE_SIZE + 100, 1000);
	expect_said(0);
	vw_stop(&b.d);
	turn();
	expect_heard(0, SX_BYTE_QUEUE_SIZE);
	serve();
	assert_int_equal(sx_byte_queue_waiting(&b.out), 0);
	bring_up(features);
	say(9, 50, 50);
	expect_said(1);
	expect_heard(9, 50);
}

/* ---- input ---- */

static void what_is_typed_arrives(void)
{
	give_room(0, 100);
	give_room(100, 100);
	assert_int_equal(vw_queue_interrupts(&b.d, RECEIVE), 0);
	type("a", 1);
	expect_typed(0, "a", 1);
	assert_int_equal(vw_queue_interrupts(&b.d, RECEIVE), 1);
	type("more of it\r", 11);
	expect_typed(100, "more of it\r", 11);
	assert_int_equal(b.console.bytes_in, 12);
}

static void what_is_typed_waits_for_room(void)
{
	const uint8_t *text = vd_at(&b.w.memory, b.text);
	uint32_t at = 0;

	type(text, SX_BYTE_QUEUE_SIZE);
	while (at < SX_BYTE_QUEUE_SIZE) {
		uint32_t len = 1 + at % 300;

		if (len > SX_BYTE_QUEUE_SIZE - at)
			len = SX_BYTE_QUEUE_SIZE - at;
		assert_int_equal(sx_byte_queue_waiting(&b.in), SX_BYTE_QUEUE_SIZE - at);
		give_room(at, len);
		expect_typed(at, text + at, len);
		at += len;
	}
	assert_int_equal(sx_byte_queue_waiting(&b.in), 0);
}

static void one_buffer_of_many_pieces_is_filled_in_order(void)
{
	const uint8_t *text = vd_at(&b.w.memory, b.text);
	struct vd_buffer buffer[20];

	for (unsigned i = 0; i < 20; i++)
		buffer[i] = (struct vd_buffer){b.room + i * 3ull, 3};
	assert_int_equal(vd_add(&b.d.queue[RECEIVE], buffer, 0, 20, NULL), 0);
	vw_kick(&b.d, RECEIVE);
	turn();
	type(text, 50);
	expect_typed(0, text, 50);
}

static void a_reset_keeps_what_was_typed(void)
{
	const uint64_t features = b.d.features;

	type("kept", 4);
	vw_stop(&b.d);
	turn();
	assert_int_equal(sx_byte_queue_waiting(&b.in), 4);
	bring_up(features);
	turn();
	give_room(0, 10);
	expect_typed(0, "kept", 4);
}

/* ---- size ---- */

static uint32_t size_now(void)
{
	return (uint32_t)vw_read(&b.w, b.d.config, 2) << 16 |
	       (uint32_t)vw_read(&b.w, b.d.config + 2, 2);
}

static void the_size_is_told(void)
{
	uint64_t generation = vw_get(&b.d, VIRTIO_PCI_COMMON_CFGGENERATION, 1);

	assert_int_equal(size_now(), 0);
	sx_virtio_console_resize(&b.console, 80, 24);
	assert_int_equal(size_now(), 80 << 16 | 24);
	assert_int_equal(vw_config_interrupts(&b.d), 1);
	assert_int_not_equal(vw_get(&b.d, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	sx_virtio_console_resize(&b.console, 0xfffe, 0x1234);
	assert_int_equal(size_now(), 0xfffe1234u);
	assert_int_equal(vw_config_interrupts(&b.d), 1);
}

static void go_away(void)
{
	vw_stop(&b.d);
	turn();
	assert_int_equal(vw_status(&b.d), 0);
}

static void come_back(uint64_t features)
{
	bring_up(features);
	turn();
}

/* A driver that is not up is not interrupted; it is told once when it is, for Linux asks then. */
static void the_size_is_there_before_the_driver(void)
{
	const uint64_t features = b.d.features;

	go_away();
	sx_virtio_console_resize(&b.console, 132, 43);
	assert_int_equal(vw_config_interrupts(&b.d), 0);
	come_back(features);
	assert_int_equal(size_now(), 132 << 16 | 43);
	assert_int_equal(vw_config_interrupts(&b.d), 1);
	turn();
	assert_int_equal(vw_config_interrupts(&b.d), 0);
	/* Each driver is. */
	go_away();
	come_back(features);
	assert_int_equal(vw_config_interrupts(&b.d), 1);
}

static void a_size_that_nobody_knows_or_wants_is_not_told(void)
{
	const uint64_t features = b.d.features;

	assert_int_equal(vw_config_interrupts(&b.d), 0);
	go_away();
	come_back(features);
	assert_int_equal(vw_config_interrupts(&b.d), 0);
	go_away();
	sx_virtio_console_resize(&b.console, 132, 43);
	come_back(features & ~SX_VIRTIO_BIT(SIZE));
	assert_int_equal(vw_config_interrupts(&b.d), 0);
}

/* ---- refusals ---- */

static void the_size_is_not_the_drivers(void)
{
	uint64_t refused = b.console.dev.refused;

	sx_virtio_console_resize(&b.console, 80, 24);
	for (unsigned size = 1; size <= 8; size *= 2)
		vw_write(&b.w, b.d.config, size, UINT64_MAX);
	assert_int_equal(size_now(), 80 << 16 | 24);
	/* Where more ports and emergency writes would be is nothing. */
	assert_int_equal(vw_read(&b.w, b.d.config + 4, 4), 0xffffffffu);
	assert_int_equal(vw_read(&b.w, b.d.config + 2, 4), 0xffffffffu);
	vw_write(&b.w, b.d.config + 8, 4, 'x');
	assert_int_equal(b.console.dev.refused, refused + 7);
	assert_int_equal(sx_byte_queue_waiting(&b.out), 0);
}

static void only_its_features_are_offered(void)
{
	vw_set(&b.d, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	assert_int_equal(vw_get(&b.d, VIRTIO_PCI_COMMON_DF, 4) & 0xffffff, 1u << SIZE);
	assert_int_equal(vw_get(&b.d, VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
}

static void expect_broken(unsigned queue, const struct vd_buffer *buffer, unsigned out, unsigned in)
{
	const uint64_t features = b.d.features;
	uint32_t len;

	assert_int_equal(vd_add(&b.d.queue[queue], buffer, out, in, NULL), 0);
	vw_kick(&b.d, queue);
	turn();
	assert_true(vw_status(&b.d) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(vw_config_interrupts(&b.d), 1);
	assert_int_equal(take(queue, &len), 0);
	vw_stop(&b.d);
	turn();
	bring_up(features);
	turn();
}

static void buffers_of_the_wrong_direction_break_the_queue(void)
{
	const struct vd_buffer buffer[2] = {{b.text, 10}, {b.room, 10}};

	expect_broken(TRANSMIT, buffer, 1, 1);
	expect_broken(TRANSMIT, buffer, 0, 1);
	assert_int_equal(sx_byte_queue_waiting(&b.out), 0);
	type("typed", 5);
	expect_broken(RECEIVE, buffer, 1, 1);
	expect_broken(RECEIVE, buffer, 1, 0);
	/* Nothing of it was lost, and the device works again. */
	give_room(0, 10);
	expect_typed(0, "typed", 5);
	say(0, 10, 10);
	expect_said(1);
	expect_heard(0, 10);
}

static void buffers_outside_of_memory_break_the_queue(void)
{
	const struct vd_buffer far = {1ull << 40, 16}, across = {(1 << 20) - 8, 16};

	expect_broken(TRANSMIT, &far, 1, 0);
	expect_broken(TRANSMIT, &across, 1, 0);
	type("typed", 5);
	expect_broken(RECEIVE, &far, 0, 1);
	expect_broken(RECEIVE, &across, 0, 1);
	assert_int_equal(sx_byte_queue_waiting(&b.out), 0);
	give_room(0, 10);
	expect_typed(0, "typed", 5);
}

/* A chain of which a part was said becomes shorter than that part. */
static void a_chain_that_shrinks_is_used(void)
{
	struct vd_queue *q = &b.d.queue[TRANSMIT];

	say(0, SX_BYTE_QUEUE_SIZE + 100, SX_BYTE_QUEUE_SIZE + 100);
	expect_said(0);
	if (q->packed)
		q->ring[0].len = 7;
	else
		q->desc[0].len = 7;
	assert_int_equal(listen(SX_BYTE_QUEUE_SIZE), SX_BYTE_QUEUE_SIZE);
	serve();
	expect_said(1);
	assert_int_equal(sx_byte_queue_waiting(&b.out), 0);
	say(100, 20, 20);
	expect_said(1);
	b.got_len = 0;
	expect_heard(100, 20);
}

/* ---- on a sidecore ---- */

#define ROUNDS 300u

static void breathe(void)
{
	rcu_quiescent_state();
	sched_yield();
}

/* One key to the driver, and its answer back. */
static void echo(uint32_t round)
{
	const uint8_t key = (uint8_t)round;
	uint32_t len, answer = 1 + round % 100;

	if (round % 13 == 0)
		answer = SX_BYTE_QUEUE_SIZE + 500;
	give_room(0, 16);
	assert_int_equal(sx_byte_queue_push(&b.in, &key, 1), 1);
	sx_virtio_console_moved(&b.console);
	while (take(RECEIVE, &len) == 0)
		breathe();
	assert_int_equal(len, 1);
	assert_int_equal(*(uint8_t *)vd_at(&b.w.memory, b.room), key);
	say(round, answer, 128);
	while (b.got_len < answer)
		if (listen(answer - b.got_len))
			sx_virtio_console_moved(&b.console);
		else
			breathe();
	while (take(TRANSMIT, &len) == 0)
		breathe();
	expect_heard(round, answer);
}

static void a_sidecore_sleeps_between_keys(void **state)
{
	struct sx_sidecore_config config = SX_SIDECORE_POLL(-1);
	struct sx_sidecore_stats before, now;
	struct sx_sidecore *sidecore;

	(void)state;
	config.wait.spin = SX_SPIN_PAUSE;
	config.wait.idle_ns = 20000;
	plug_in(true, true);
	rcu_thread_offline();
	assert_int_equal(sx_sidecore_start(&sidecore, &config, NULL), 0);
	assert_int_equal(sx_sidecore_add(sidecore, &b.console.dev.group[0].poller), 0);
	rcu_thread_online();
	bring_up(UINT64_MAX);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; round % 10 == 0 && i < 500; i++)
			breathe(); /* let it fall asleep */
		echo(round);
	}
	/* With room for input and nothing typed it falls asleep for good: no more turns. */
	give_room(0, 16);
	rcu_thread_offline();
	do {
		sx_sidecore_stats(sidecore, &before);
		poll(NULL, 0, 20);
		sx_sidecore_stats(sidecore, &now);
	} while (now.turns != before.turns);
	assert_true(now.sleeps > 0);
	assert_int_equal(b.console.bytes_in, ROUNDS);
	sx_sidecore_remove(&b.console.dev.group[0].poller);
	sx_sidecore_stop(sidecore);
	rcu_thread_online();
	unplug();
}

static struct CMUnitTest case_of(const char *name, struct test *test)
{
	return (struct CMUnitTest){.name = name, .test_func = everywhere, .initial_state = test};
}

#define EVERYWHERE(FUNCTION) case_of(#FUNCTION, &(struct test){FUNCTION})

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERYWHERE(what_is_said_is_heard),
		EVERYWHERE(however_it_is_cut),
		EVERYWHERE(what_does_not_fit_waits),
		EVERYWHERE(what_does_not_fit_waits_at_any_byte),
		EVERYWHERE(a_reset_forgets_what_did_not_fit),
		EVERYWHERE(what_is_typed_arrives),
		EVERYWHERE(what_is_typed_waits_for_room),
		EVERYWHERE(one_buffer_of_many_pieces_is_filled_in_order),
		EVERYWHERE(a_reset_keeps_what_was_typed),
		EVERYWHERE(the_size_is_told),
		EVERYWHERE(the_size_is_there_before_the_driver),
		EVERYWHERE(a_size_that_nobody_knows_or_wants_is_not_told),
		EVERYWHERE(the_size_is_not_the_drivers),
		EVERYWHERE(only_its_features_are_offered),
		EVERYWHERE(buffers_of_the_wrong_direction_break_the_queue),
		EVERYWHERE(buffers_outside_of_memory_break_the_queue),
		EVERYWHERE(a_chain_that_shrinks_is_used),
		cmocka_unit_test(a_sidecore_sleeps_between_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
