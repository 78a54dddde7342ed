// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-vsock's other side: the line that a host's program says, programs that
 * say nothing, or too much, or come in crowds; and a host that is short of descriptors.
 */
#include "tests/unit/test_virtio_vsock_world.h"

#include <fcntl.h>
#include <sys/resource.h>

VT_WORLD

/* One whose patience ends while the test looks on. */
static int vt_open_hurried_trap(void **state)
{
	(void)state;
	vt_build(&t, false, VT_PATIENCE);
	vt_up(&t, VT_FEATURES);
	vt_post(&t, VT_RING / 2);
	return 0;
}

static int vt_open_hurried_split(void **state)
{
	(void)state;
	vt_build(&t, true, VT_PATIENCE);
	vt_up(&t, VT_FEATURES);
	vt_post(&t, VT_RING / 2);
	return 0;
}

/* ---- the line ---- */

static void a_line_that_is_none_ends_it(void **state)
{
	static const char *const bad[] = {
		"\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT x\n",
		"CONNECT  52\n",
		"CONNECT -1\n",
		"CONNECT 52 \n",
		"CONNECT 52x\n",
		"CONNECT 4294967295\n", /* any port */
		"CONNECT 4294967296\n",
		"CONNECT 18446744073709551668\n", /* 52 modulo 2^64 */
		"CONNECT52\n",
		" CONNECT 52\n",
		"CONNECT 52\r\r\n",
		"GET / HTTP/1.1\r\n",
		"CONNECT 00000000000000000000000000000052\n", /* longer than any */
		"a line that has no end within what a line may have",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = vt_host_connect(&t);

		vt_say(&t, fd, bad[i]);
		assert_int_equal(t.v.open, 0);
		assert_int_equal(t.v.stats.refused, i + 1);
		close(fd);
	}
	vt_expect_nothing(&t);
}

static void a_line_may_be_written_in_other_ways(void **state)
{
	static const struct {
		const char *line;
		uint32_t port;
	} good[] = {
		{"CONNECT 0\n", 0},
		{"CONNECT 52\r\n", 52},
		{"connect 52\n", 52},
		{"CONNECT 0052\n", 52},
		{"CONNECT 4294967294\n", 4294967294u},
	};
	struct vt_packet p;

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int fd = vt_host_connect(&t);

		vt_say(&t, fd, good[i].line);
		vt_await(&t, &p);
		assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_REQUEST);
		assert_int_equal(p.h.dst_port, good[i].port);
		assert_int_equal(p.h.src_port, (1u << 30) + i);
		close(fd);
	}
}

static void a_line_may_come_byte_by_byte(void **state)
{
	const char *line = "CONNECT 1234\n";
	int fd = vt_host_connect(&t);
	struct vt_packet p;

	(void)state;
	for (const char *c = line; *c; c++) {
		const char one[2] = {*c, 0};

		vt_expect_nothing(&t);
		vt_say(&t, fd, one);
	}
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(p.h.dst_port, 1234);
	close(fd);
}

static void half_a_line_and_the_end_is_no_line(void **state)
{
	int fd = vt_host_connect(&t);

	(void)state;
	vt_say(&t, fd, "CONNECT 12");
	assert_int_equal(t.v.open, 1);
	close(fd);
	vt_settle(&t);
	assert_int_equal(t.v.open, 0);
	/* Nor is one whose program only says that it will write no more. */
	fd = vt_host_connect(&t);
	vt_settle(&t);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	vt_hears(&t, fd, "", true);
	assert_int_equal(t.v.open, 0);
	close(fd);
	vt_expect_nothing(&t);
}

/* ---- patience ---- */

static void await_expiry(unsigned count)
{
	for (unsigned i = 0; i < VT_TRIES && t.v.stats.expired < count; i++) {
		vt_settle(&t);
		usleep(1000);
	}
	assert_int_equal(t.v.stats.expired, count);
}

static void who_says_nothing_is_sent_away(void **state)
{
	int fd[2] = {vt_host_connect(&t), vt_host_connect(&t)};

	(void)state;
	vt_say(&t, fd[1], "CONN");
	assert_int_equal(t.v.open, 2);
	await_expiry(2);
	vt_hears(&t, fd[0], "", true);
	assert_int_equal(t.v.open, 0);
	assert_int_equal(t.v.lines, 0);
	assert_false(t.v.ticking);
	close(fd[0]);
	close(fd[1]);
	vt_expect_nothing(&t);
}

static void a_guest_that_does_not_answer_is_not_waited_for(void **state)
{
	struct vt_packet p;
	int fd = vt_host_connect(&t);

	(void)state;
	vt_say(&t, fd, "CONNECT 1234\n");
	vt_await(&t, &p);
	await_expiry(1);
	vt_hears(&t, fd, "", true);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, p.h.src_port);
	/* Too late. */
	vt_send(&t, VIRTIO_VSOCK_OP_RESPONSE, VT_PORT, p.h.src_port);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, p.h.src_port);
	assert_int_equal(t.v.open, 0);
	close(fd);
}

/* Nothing is half-open about one that is only silent. */
static void an_open_connection_may_be_silent(void **state)
{
	uint32_t port;
	int fd = vt_connected(&t, &port);
	int other = vt_host_connect(&t);

	(void)state;
	await_expiry(1);
	assert_int_equal(t.v.open, 1);
	vt_send_data(&t, VT_PORT, port, "still here", 10);
	vt_hears(&t, fd, "still here", false);
	close(fd);
	close(other);
}

/* ---- crowds ---- */

/* So many may think about their line; the others wait, and come in as those leave. */
static void a_silent_crowd_waits_outside(void **state)
{
	int fd[SX_VSOCK_LINES + 30];
	const unsigned count = sizeof(fd) / sizeof(fd[0]);

	(void)state;
	for (unsigned i = 0; i < count; i++)
		fd[i] = vt_host_connect(&t);
	vt_settle(&t);
	assert_int_equal(t.v.open, SX_VSOCK_LINES);
	/* One that waits outside has said its line, and gets in when another leaves. */
	vt_say(&t, fd[SX_VSOCK_LINES], "CONNECT 1234\n");
	vt_expect_nothing(&t);
	close(fd[7]);
	vt_expect(&t, VIRTIO_VSOCK_OP_REQUEST, VT_PORT, 1u << 30);
	assert_int_equal(t.v.open, SX_VSOCK_LINES + 1);
	for (unsigned i = 0; i < count; i++)
		if (i != 7)
			close(fd[i]);
	vt_settle(&t);
	assert_int_equal(t.v.lines, 0);
}

/* All who come while the guest is not there are served once it is. */
static void programs_wait_for_the_guest(void **state)
{
	struct vt_packet p;
	int fd[5];

	(void)state;
	vt_down(&t);
	for (unsigned i = 0; i < 5; i++) {
		fd[i] = vt_host_connect(&t);
		vt_say(&t, fd[i], "CONNECT 1234\n");
	}
	assert_int_equal(t.v.open, 0);
	vt_up(&t, VT_FEATURES);
	vt_post(&t, 16);
	for (unsigned i = 0; i < 5; i++) {
		vt_await(&t, &p);
		assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_REQUEST);
		assert_int_equal(p.h.src_port, (1u << 30) + i);
		close(fd[i]);
	}
}

/* Out of descriptors: who comes waits, the guest is refused, and later all is well. */
static void a_lack_of_descriptors_passes(void **state)
{
	struct rlimit before, none;
	int fd = vt_host_connect(&t), listener = vt_host_listen(&t, 99);
	uint32_t port = t.v.next_port;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0; /* those that are open stay */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	/* poll() itself would fail now. */
	t.v.look_at = 0;
	sx_virtio_device_poll(&t.v.dev);
	assert_int_equal(t.v.open, 0);
	assert_true(t.v.short_of);
	vt_send(&t, VIRTIO_VSOCK_OP_REQUEST, 5000, 99);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, 5000, 99);
	vt_say(&t, fd, "CONNECT 1234\n");
	vt_expect(&t, VIRTIO_VSOCK_OP_REQUEST, VT_PORT, port);
	assert_false(t.v.short_of);
	close(listener);
	close(fd);
}

/* ---- waking ---- */

/* In trap mode the descriptor says when there is something to do, and only then. */
static void an_idle_device_wakes_nobody(void **state)
{
	struct pollfd p = {.events = POLLIN};
	struct vd_queue *rx = &t.d.queue[VT_RX];
	uint32_t port;
	int fd = vt_connected(&t, &port);
	struct vt_packet got = {0};

	(void)state;
	p.fd = t.v.dev.wake_fd;
	assert_true(p.fd >= 0);
	vt_settle(&t);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(poll(&p, 1, 0), 1);
	sx_virtio_device_poll(&t.v.dev);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_true(vt_take(&t, &got));
	assert_int_equal(got.h.len, 1);
	/* Nor one whose guest has no room: it is the guest that has to move. */
	vt_down(&t);
	vt_up(&t, VT_FEATURES);
	assert_int_equal(rx->taken, 0);
	close(fd);
	fd = vt_host_connect(&t);
	vt_say(&t, fd, "CONNECT 1234\n");
	assert_int_equal(poll(&p, 1, 0), 0);
	vt_post(&t, 1);
	assert_true(vt_take(&t, &got));
	close(fd);
}

#define HURRIED(F)                                                            \
	{#F " (trap)", F, vt_open_hurried_trap, vt_close_world, NULL},        \
	{                                                                     \
#F " (split)", F, vt_open_hurried_split, vt_close_world, NULL \
	}
#define TRAP(F)                                           \
	{                                                 \
#F, F, vt_open_trap, vt_close_world, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VT_BOTH(a_line_that_is_none_ends_it),
		VT_BOTH(a_line_may_be_written_in_other_ways),
		VT_BOTH(a_line_may_come_byte_by_byte),
		VT_BOTH(half_a_line_and_the_end_is_no_line),
		HURRIED(who_says_nothing_is_sent_away),
		HURRIED(a_guest_that_does_not_answer_is_not_waited_for),
		HURRIED(an_open_connection_may_be_silent),
		VT_BOTH(a_silent_crowd_waits_outside),
		VT_BOTH(programs_wait_for_the_guest),
		HURRIED(a_lack_of_descriptors_passes),
		TRAP(an_idle_device_wakes_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
