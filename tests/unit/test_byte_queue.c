// SPDX-License-Identifier: BSD-3-Clause
/*
 * The byte queue: order and room, and a consumer that sleeps in poll() and misses nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/byte_queue.h"

#define SIZE SX_BYTE_QUEUE_SIZE

static int set_up(void **state)
{
	static struct sx_byte_queue q;

	*state = &q;
	return sx_byte_queue_init(&q, NULL);
}

static int tear_down(void **state)
{
	sx_byte_queue_destroy(*state);
	return 0;
}

static int readable(const struct sx_byte_queue *q)
{
	struct pollfd fd = {.fd = q->fd, .events = POLLIN};

	return poll(&fd, 1, 0);
}

/* Byte number @n of the stream that the tests send; its period is no power of two. */
static uint8_t stream(uint32_t n)
{
	return (uint8_t)(n % 251);
}

static uint32_t push_stream(struct sx_byte_queue *q, uint32_t from, uint32_t count)
{
	uint8_t buf[2 * SIZE];

	assert_true(count <= sizeof(buf));
	for (uint32_t i = 0; i < count; i++)
		buf[i] = stream(from + i);
	return sx_byte_queue_push(q, buf, count);
}

/* Pull at most @max bytes, which are the stream's from @from on; returns how many. */
static uint32_t pull_stream(struct sx_byte_queue *q, uint32_t from, uint32_t max)
{
	uint8_t buf[2 * SIZE];
	uint32_t n;

	assert_true(max <= sizeof(buf));
	n = sx_byte_queue_pull(q, buf, max);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(buf[i], stream(from + i));
	return n;
}

static void a_new_queue_is_empty(void **state)
{
	struct sx_byte_queue *q = *state;
	uint8_t byte;

	assert_int_equal(sx_byte_queue_room(q), SIZE);
	assert_int_equal(sx_byte_queue_waiting(q), 0);
	assert_true(sx_byte_queue_drained(q));
	assert_int_equal(sx_byte_queue_pull(q, &byte, 1), 0);
	assert_int_equal(readable(q), 0);
}

static void bytes_come_out_in_order_across_many_wraps(void **state)
{
	struct sx_byte_queue *q = *state;
	uint32_t pushed = 0, pulled = 0;

	/* Uneven steps, so that every position of a wrap is met. */
	for (uint32_t step = 0; step < 20000; step++) {
		pushed += push_stream(q, pushed, 1 + step % 97);
		pulled += pull_stream(q, pulled, 1 + step % 89);
		assert_int_equal(sx_byte_queue_waiting(q), pushed - pulled);
		assert_int_equal(sx_byte_queue_room(q), SIZE - (pushed - pulled));
	}
	assert_true(pushed > 100 * SIZE);
	pulled += pull_stream(q, pulled, SIZE);
	assert_int_equal(pulled, pushed);
	assert_true(sx_byte_queue_drained(q));
}

static void positions_may_pass_the_end_of_32_bits(void **state)
{
	struct sx_byte_queue *q = *state;
	uint32_t start = UINT32_MAX - SIZE / 2;

	q->head = q->tail = start;
	assert_int_equal(push_stream(q, 0, SIZE), SIZE);
	assert_int_equal(push_stream(q, 0, 1), 0);
	assert_int_equal(pull_stream(q, 0, SIZE + 1), SIZE);
	assert_true(sx_byte_queue_drained(q));
	assert_int_equal(q->tail, start + SIZE);
}

static void a_full_queue_takes_no_more(void **state)
{
	struct sx_byte_queue *q = *state;

	assert_int_equal(push_stream(q, 0, SIZE - 1), SIZE - 1);
	/* Of three bytes the one that fits. */
	assert_int_equal(push_stream(q, SIZE - 1, 3), 1);
	assert_int_equal(push_stream(q, SIZE, 1), 0);
	assert_int_equal(sx_byte_queue_room(q), 0);
	assert_int_equal(pull_stream(q, 0, 2 * SIZE), SIZE);
	assert_int_equal(sx_byte_queue_room(q), SIZE);
}

static void pushing_or_pulling_nothing_does_nothing(void **state)
{
	struct sx_byte_queue *q = *state;
	uint8_t byte = 7;

	assert_int_equal(sx_byte_queue_push(q, &byte, 0), 0);
	assert_int_equal(readable(q), 0);
	assert_int_equal(sx_byte_queue_push(q, &byte, 1), 1);
	assert_int_equal(sx_byte_queue_pull(q, &byte, 0), 0);
	assert_int_equal(sx_byte_queue_waiting(q), 1);
}

static void only_bytes_into_an_empty_queue_are_announced(void **state)
{
	struct sx_byte_queue *q = *state;
	uint64_t announced;

	push_stream(q, 0, 10);
	push_stream(q, 10, 10);
	assert_int_equal(read(q->fd, &announced, sizeof(announced)), sizeof(announced));
	assert_int_equal(announced, 1);
	/* Not empty yet: still no word. */
	pull_stream(q, 0, 19);
	push_stream(q, 20, 1);
	assert_int_equal(readable(q), 0);
	pull_stream(q, 19, 2);
	push_stream(q, 21, 1);
	assert_int_equal(readable(q), 1);
}

static void an_acknowledged_queue_is_unreadable_and_keeps_its_bytes(void **state)
{
	struct sx_byte_queue *q = *state;

	push_stream(q, 0, 3);
	assert_int_equal(readable(q), 1);
	sx_byte_queue_ack(q);
	assert_int_equal(readable(q), 0);
	/* Nothing to acknowledge is no mistake, and does not block. */
	sx_byte_queue_ack(q);
	assert_int_equal(pull_stream(q, 0, SIZE), 3);
}

static void an_unread_eventfd_does_not_stop_the_producer(void **state)
{
	struct sx_byte_queue *q = *state;
	const uint64_t most = UINT64_MAX - 1;

	assert_int_equal(write(q->fd, &most, sizeof(most)), sizeof(most));
	assert_int_equal(push_stream(q, 0, 5), 5);
	assert_int_equal(readable(q), 1);
	assert_int_equal(pull_stream(q, 0, SIZE), 5);
}

static void without_a_free_descriptor_there_is_no_queue(void **state)
{
	struct sx_byte_queue q;
	struct sx_error err = {""};
	struct rlimit before, none;
	int rc;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rc = sx_byte_queue_init(&q, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(rc, -EMFILE);
	assert_non_null(strstr(err.text, "ulimit -n"));
	/* What was not made can be destroyed. */
	sx_byte_queue_destroy(&q);
	assert_int_equal(q.fd, -1);
}

static void a_destroyed_queue_has_no_descriptor(void **state)
{
	struct sx_byte_queue q;
	int fd;

	(void)state;
	assert_int_equal(sx_byte_queue_init(&q, NULL), 0);
	fd = q.fd;
	sx_byte_queue_destroy(&q);
	assert_int_equal(q.fd, -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(errno, EBADF);
	sx_byte_queue_destroy(&q);
}

/* ---- two threads ---- */

#define STREAM_LENGTH 2000000u

static void *produce(void *arg)
{
	struct sx_byte_queue *q = arg;
	uint8_t buf[61];
	uint32_t sent = 0;

	while (sent < STREAM_LENGTH) {
		uint32_t want = 1 + sent % sizeof(buf);
		uint32_t n;

		if (want > STREAM_LENGTH - sent)
			want = STREAM_LENGTH - sent;
		for (uint32_t i = 0; i < want; i++)
			buf[i] = stream(sent + i);
		n = sx_byte_queue_push(q, buf, want);
		if (!n)
			sched_yield();
		sent += n;
	}
	return NULL;
}

/* One byte at a time, each only after the one before was taken: every one finds it empty. */
static void *produce_singly(void *arg)
{
	struct sx_byte_queue *q = arg;

	for (uint32_t i = 0; i < 50000; i++) {
		uint8_t byte = stream(i);

		while (!sx_byte_queue_drained(q))
			sched_yield();
		if (sx_byte_queue_push(q, &byte, 1) != 1)
			break;
	}
	return NULL;
}

/* Sleep without a limit whenever the queue is empty: a lost wake-up would never end. */
static void consume(struct sx_byte_queue *q, uint32_t length)
{
	uint32_t got = 0;

	while (got < length) {
		struct pollfd fd = {.fd = q->fd, .events = POLLIN};
		uint32_t n;

		assert_int_equal(poll(&fd, 1, -1), 1);
		sx_byte_queue_ack(q);
		while ((n = pull_stream(q, got, 1 + got % 300)) != 0)
			got += n;
	}
	assert_int_equal(got, length);
	assert_true(sx_byte_queue_drained(q));
}

static void a_sleeping_consumer_gets_every_byte_of_a_stream(void **state)
{
	pthread_t producer;

	assert_int_equal(pthread_create(&producer, NULL, produce, *state), 0);
	consume(*state, STREAM_LENGTH);
	pthread_join(producer, NULL);
}

static void a_sleeping_consumer_wakes_for_each_single_byte(void **state)
{
	pthread_t producer;

	assert_int_equal(pthread_create(&producer, NULL, produce_singly, *state), 0);
	consume(*state, 50000);
	pthread_join(producer, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_new_queue_is_empty),
		CASE(bytes_come_out_in_order_across_many_wraps),
		CASE(positions_may_pass_the_end_of_32_bits),
		CASE(a_full_queue_takes_no_more),
		CASE(pushing_or_pulling_nothing_does_nothing),
		CASE(only_bytes_into_an_empty_queue_are_announced),
		CASE(an_acknowledged_queue_is_unreadable_and_keeps_its_bytes),
		CASE(an_unread_eventfd_does_not_stop_the_producer),
		cmocka_unit_test(without_a_free_descriptor_there_is_no_queue),
		cmocka_unit_test(a_destroyed_queue_has_no_descriptor),
		CASE(a_sleeping_consumer_gets_every_byte_of_a_stream),
		CASE(a_sleeping_consumer_wakes_for_each_single_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
