// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-vsock and a driver that does what no honest one does: packets that make no sense, credit
 * that was not given, buffers of the wrong kind, floods. Others go on meanwhile.
 */
#include "tests/unit/test_virtio_vsock_world.h"

#include <sys/resource.h>

VT_WORLD

static uint8_t data[SX_VSOCK_BUFFER + 1];

/* ---- packets of no connection ---- */

/* It is answered by RST from where it went to, of its own type. */
static void expect_refusal(const struct virtio_vsock_hdr *h)
{
	struct vt_packet p;

	vt_send_header(&t, h, NULL, 0);
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(p.h.src_cid, h->dst_cid);
	assert_int_equal(p.h.src_port, h->dst_port);
	assert_int_equal(p.h.dst_port, h->src_port);
	assert_int_equal(p.h.type, h->type);
	vt_expect_nothing(&t);
	assert_int_equal(t.v.open, 0);
}

static void what_belongs_to_no_connection_is_refused(void **state)
{
	static const uint16_t ops[] = {VIRTIO_VSOCK_OP_INVALID,
				       VIRTIO_VSOCK_OP_RESPONSE,
				       VIRTIO_VSOCK_OP_SHUTDOWN,
				       VIRTIO_VSOCK_OP_RW,
				       VIRTIO_VSOCK_OP_CREDIT_UPDATE,
				       VIRTIO_VSOCK_OP_CREDIT_REQUEST,
				       VIRTIO_VSOCK_OP_CREDIT_REQUEST + 1,
				       UINT16_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct virtio_vsock_hdr h = vt_header(ops[i], 10 + i, 20 + i);

		expect_refusal(&h);
	}
}

static void other_types_and_addresses_are_refused(void **state)
{
	static const uint16_t types[] = {0, VIRTIO_VSOCK_TYPE_SEQPACKET, 3, UINT16_MAX};
	static const uint64_t cids[] = {0,          1,          VT_CID,    VT_CID + 1,
					UINT32_MAX, UINT64_MAX, 2ull << 32};
	struct virtio_vsock_hdr h;
	int listener = vt_host_listen(&t, 99);

	(void)state;
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		h = vt_header(VIRTIO_VSOCK_OP_REQUEST, 5000, 99);
		h.type = types[i];
		expect_refusal(&h);
	}
	for (unsigned i = 0; i < sizeof(cids) / sizeof(cids[0]); i++) {
		h = vt_header(VIRTIO_VSOCK_OP_REQUEST, 5000, 99);
		h.dst_cid = cids[i];
		expect_refusal(&h);
	}
	assert_int_equal(t.v.stats.malformed, 11);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	close(listener);
}

/* There is nobody to be answered. */
static void who_pretends_to_be_another_is_not_heard(void **state)
{
	static const uint64_t cids[] = {0, 2, VT_CID + 1, UINT64_MAX, VT_CID | 1ull << 32};
	int listener = vt_host_listen(&t, 99);

	(void)state;
	for (unsigned i = 0; i < sizeof(cids) / sizeof(cids[0]); i++) {
		struct virtio_vsock_hdr h = vt_header(VIRTIO_VSOCK_OP_REQUEST, 5000, 99);

		h.src_cid = cids[i];
		vt_send_header(&t, &h, NULL, 0);
	}
	vt_expect_nothing(&t);
	assert_int_equal(t.v.stats.malformed, 5);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	close(listener);
}

static void a_reset_of_nothing_is_not_answered(void **state)
{
	struct virtio_vsock_hdr h = vt_header(VIRTIO_VSOCK_OP_RST, 1, 2);

	(void)state;
	vt_send_header(&t, &h, NULL, 0);
	h.type = 77;
	vt_send_header(&t, &h, NULL, 0);
	h.dst_cid = 9;
	vt_send_header(&t, &h, NULL, 0);
	vt_expect_nothing(&t);
}

/* ---- packets of a connection ---- */

/* What ends a connection: the operation, the length told and sent, and the count of bytes taken. */
static const struct {
	uint16_t op;
	uint32_t len, bytes, fwd_cnt;
} nonsense[] = {
	{VIRTIO_VSOCK_OP_INVALID, 0, 0, 0},
	{VIRTIO_VSOCK_OP_REQUEST, 0, 0, 0},
	{VIRTIO_VSOCK_OP_RESPONSE, 0, 0, 0},
	{VIRTIO_VSOCK_OP_CREDIT_REQUEST + 1, 0, 0, 0},
	{UINT16_MAX, 0, 0, 0},
	{VIRTIO_VSOCK_OP_RW, 1, 0, 0},
	{VIRTIO_VSOCK_OP_RW, 101, 100, 0},
	{VIRTIO_VSOCK_OP_RW, UINT32_MAX, 100, 0},
	{VIRTIO_VSOCK_OP_RW, UINT32_MAX - VT_HDR + 1, 100, 0},
	{VIRTIO_VSOCK_OP_RW, SX_VSOCK_BUFFER + 1, SX_VSOCK_BUFFER + 1, 0},
	{VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, 0, 1},
	{VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, 0, 1u << 31},
	{VIRTIO_VSOCK_OP_RW, 1, 1, UINT32_MAX - (16u << 20)},
	{VIRTIO_VSOCK_OP_SHUTDOWN, 1, 0, 0},
};

static void nonsense_ends_its_connection_and_no_other(void **state)
{
	const unsigned count = sizeof(nonsense) / sizeof(nonsense[0]);
	uint32_t other_port, port;
	int other = vt_connected(&t, &other_port);

	(void)state;
	for (unsigned i = 0; i < count; i++) {
		int fd = vt_connected(&t, &port);
		struct virtio_vsock_hdr h = vt_header(nonsense[i].op, VT_PORT, port);

		h.len = nonsense[i].len;
		h.fwd_cnt = nonsense[i].fwd_cnt;
		vt_send_header(&t, &h, data, nonsense[i].bytes);
		vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, port);
		vt_hears(&t, fd, "", true);
		assert_int_equal(t.v.open, 1);
		close(fd);
	}
	vt_expect_nothing(&t);
	assert_int_equal(t.v.stats.resets, count);
	assert_int_equal(t.v.stats.malformed, count);
	vt_send_data(&t, VT_PORT, other_port, "unharmed", 8);
	vt_hears(&t, other, "unharmed", false);
	close(other);
}

static void data_after_the_guests_last_word_ends_it(void **state)
{
	uint32_t port;
	int fd = vt_connected(&t, &port);

	(void)state;
	vt_send_shutdown(&t, VT_PORT, port, VIRTIO_VSOCK_SHUTDOWN_SEND);
	vt_send_data(&t, VT_PORT, port, "and", 3);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, port);
	vt_hears(&t, fd, "", true);
	assert_int_equal(t.v.open, 0);
	close(fd);
}

/* Shutting down nothing, or what there is not, changes nothing. */
static void flags_that_mean_nothing_are_ignored(void **state)
{
	uint32_t port;
	int fd = vt_connected(&t, &port);

	(void)state;
	vt_send_shutdown(&t, VT_PORT, port, 0);
	vt_send_shutdown(&t, VT_PORT, port, ~VT_OPEN);
	vt_send_data(&t, VT_PORT, port, "going on", 8);
	vt_hears(&t, fd, "going on", false);
	vt_expect_nothing(&t);
	close(fd);
}

/* More than the guest was told there is room for, byte by byte: nothing of it is kept. */
static void more_than_there_is_room_for_ends_it(void **state)
{
	struct vt_packet p;
	uint32_t port, sent = 0, forwarded = 0;
	int fd = vt_connected(&t, &port);

	(void)state;
	/* The program reads nothing; in the end all room is used. */
	while (sent - forwarded < SX_VSOCK_BUFFER) {
		uint32_t room = SX_VSOCK_BUFFER - (sent - forwarded);

		vt_send_data(&t, VT_PORT, port, data, room < 4096 ? room : 4096);
		sent += room < 4096 ? room : 4096;
		vt_send(&t, VIRTIO_VSOCK_OP_CREDIT_REQUEST, VT_PORT, port);
		while (vt_take(&t, &p))
			forwarded = p.h.fwd_cnt;
	}
	assert_int_equal(t.v.stats.resets, 0);
	vt_send_data(&t, VT_PORT, port, data, 1);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, port);
	assert_int_equal(t.v.stats.resets, 1);
	assert_int_equal(t.v.open, 0);
	close(fd);
}

/* An answer to a request that has not been sent yet, because the guest takes no packets. */
static void an_answer_before_the_question_ends_it(void **state)
{
	struct vd_queue *rx = &t.d.queue[VT_RX];
	uint32_t port = t.v.next_port;
	int fd;

	(void)state;
	vt_down(&t);
	vt_up(&t, VT_FEATURES);
	assert_int_equal(rx->taken, 0);
	fd = vt_host_connect(&t);
	vt_say(&t, fd, "CONNECT 1234\n");
	vt_send(&t, VIRTIO_VSOCK_OP_RESPONSE, VT_PORT, port);
	assert_int_equal(t.v.stats.resets, 1);
	vt_hears(&t, fd, "", true);
	vt_post(&t, 4);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, port);
	vt_expect_nothing(&t);
	close(fd);
}

static void a_request_is_answered_by_nothing_else(void **state)
{
	struct vt_packet p;
	int fd = vt_host_connect(&t);

	(void)state;
	vt_say(&t, fd, "CONNECT 1234\n");
	vt_await(&t, &p);
	vt_send_data(&t, VT_PORT, p.h.src_port, "too early", 9);
	vt_hears(&t, fd, "", true);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, p.h.src_port);
	assert_int_equal(t.v.open, 0);
	close(fd);
}

/* ---- buffers ---- */

/* The chain breaks the queue, a program that is connected is told, and a reset mends all. */
static void expect_broken(unsigned queue, const struct vd_buffer *b, unsigned out, unsigned in)
{
	const uint64_t split = VT_FEATURES & ~SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	uint32_t port;
	int fd;

	vt_down(&t);
	vt_up(&t, split);
	fd = vt_host_connect(&t);
	vt_say(&t, fd, "CONNECT 1234\n");
	assert_int_equal(t.v.open, 1);
	assert_int_equal(vd_add(&t.d.queue[queue], b, out, in, NULL), 0);
	vw_kick(&t.d, queue);
	vt_settle(&t);
	sx_virtio_device_poll(&t.v.dev);
	assert_true(vw_status(&t.d) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_non_null(t.v.dev.fault);
	vt_hears(&t, fd, "", true);
	assert_int_equal(t.v.open, 0);
	close(fd);
	vt_down(&t);
	vt_up(&t, split);
	vt_post(&t, 16);
	close(vt_connected(&t, &port));
}

static void buffers_of_the_wrong_kind_break_the_queue(void **state)
{
	const sx_gpa at = vd_alloc(&t.w.memory, 4096, 64);
	const struct vd_buffer whole[2] = {{at, VT_HDR}, {at + 64, 64}};
	const struct vd_buffer small[1] = {{at, VT_HDR}};
	const struct vd_buffer tiny[2] = {{at, VT_HDR - 1}, {at + 64, 1}};

	(void)state;
	expect_broken(VT_RX, whole, 1, 1); /* nothing to be read there */
	expect_broken(VT_RX, whole, 2, 0);
	expect_broken(VT_RX, small, 0, 1); /* a header, and no data */
	expect_broken(VT_RX, tiny, 0, 1);
	expect_broken(VT_RX, tiny, 0, 2);
	expect_broken(VT_TX, whole, 1, 1); /* nothing to be written there */
	expect_broken(VT_TX, whole, 0, 2);
	expect_broken(VT_TX, tiny, 1, 0);
	assert_int_equal(t.v.dev.faults, 8);
}

/* Headers and data in pieces of any size are the same packets. */
static void any_cut_is_the_same_packet(void **state)
{
	const sx_gpa at = vd_alloc(&t.w.memory, 4096, 64);
	uint32_t port;
	int fd = vt_connected(&t, &port);
	struct virtio_vsock_hdr h = vt_header(VIRTIO_VSOCK_OP_RW, VT_PORT, port);

	(void)state;
	h.len = 20;
	memcpy(vd_at(&t.w.memory, at), &h, VT_HDR);
	memcpy(vd_at(&t.w.memory, at + VT_HDR), "twenty bytes of data", 20);
	for (uint32_t cut = 1; cut < VT_HDR + 20; cut++) {
		const struct vd_buffer b[2] = {{at, cut}, {at + cut, VT_HDR + 20 - cut}};

		vt_reap(&t);
		assert_int_equal(vd_add(&t.d.queue[VT_TX], b, 2, 0, NULL), 0);
		vw_kick(&t.d, VT_TX);
		vt_hears(&t, fd, "twenty bytes of data", false);
	}
	close(fd);
}

/* What lies behind the length that the header tells is not sent. */
static void the_header_tells_the_length(void **state)
{
	uint32_t port;
	int fd = vt_connected(&t, &port);
	struct virtio_vsock_hdr h = vt_header(VIRTIO_VSOCK_OP_RW, VT_PORT, port);

	(void)state;
	h.len = 6;
	vt_send_header(&t, &h, "secretary", 9);
	vt_hears(&t, fd, "secret", false);
	h.len = 0;
	vt_send_header(&t, &h, "secretary", 9);
	vt_hears(&t, fd, "", false);
	close(fd);
}

/* ---- floods ---- */

/*
 * The guest takes no answers: so many are kept, and then its packets stay where they are. Once it
 * does, all are answered, each once, and the driver is asked for notifications again.
 */
static void a_guest_that_takes_no_answers_has_to_wait(void **state)
{
	const unsigned many = SX_VSOCK_REPLIES + VT_RING / 2;
	unsigned sent = 0, answered = 0;
	struct vt_packet p;

	(void)state;
	vt_down(&t);
	vt_up(&t, VT_FEATURES & ~SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED));
	for (unsigned tries = 0; tries < 2 * many; tries++) {
		struct virtio_vsock_hdr h = vt_header(VIRTIO_VSOCK_OP_RW, sent, 1);

		if (sent < many && vt_try_send(&t, &h, NULL, 0) == 0)
			sent++;
		vt_turn(&t);
	}
	assert_int_equal(sent, many);
	vt_reap(&t);
	assert_int_equal(t.d.queue[VT_TX].taken, SX_VSOCK_REPLIES);
	for (unsigned i = 0; i < 8; i++) {
		vt_post(&t, 1);
		vt_settle(&t);
		while (vt_take(&t, &p)) {
			vt_settle(&t);
			assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RST);
			assert_int_equal(p.h.dst_port, answered++);
		}
	}
	assert_int_equal(answered, many);
	vt_reap(&t);
	assert_int_equal(t.d.queue[VT_TX].taken, many);
	vt_send(&t, VIRTIO_VSOCK_OP_RW, many, 1);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, many, 1);
}

/* As many as the table holds are made, however many are asked for; each is answered. */
static void connections_are_bounded(void **state)
{
	const unsigned many = SX_VSOCK_CONNECTIONS + 50;
	int listener = vt_host_listen(&t, 99);
	struct rlimit limit, before;
	unsigned made = 0, refused = 0;
	struct vt_packet p;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned i = 0; i < many; i++) {
		vt_send(&t, VIRTIO_VSOCK_OP_REQUEST, 10000 + i, 99);
		vt_await(&t, &p);
		assert_int_equal(p.h.dst_port, 10000 + i);
		made += p.h.op == VIRTIO_VSOCK_OP_RESPONSE;
		refused += p.h.op == VIRTIO_VSOCK_OP_RST;
	}
	assert_int_equal(made, SX_VSOCK_CONNECTIONS);
	assert_int_equal(refused, many - SX_VSOCK_CONNECTIONS);
	assert_int_equal(t.v.open, SX_VSOCK_CONNECTIONS);
	/* The room of one that ends is used again. */
	vt_send(&t, VIRTIO_VSOCK_OP_RST, 10000 + 500, 99);
	assert_int_equal(t.v.open, SX_VSOCK_CONNECTIONS - 1);
	vt_send(&t, VIRTIO_VSOCK_OP_REQUEST, 9999, 99);
	vt_expect(&t, VIRTIO_VSOCK_OP_RESPONSE, 9999, 99);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VT_BOTH(what_belongs_to_no_connection_is_refused),
		VT_BOTH(other_types_and_addresses_are_refused),
		VT_BOTH(who_pretends_to_be_another_is_not_heard),
		VT_BOTH(a_reset_of_nothing_is_not_answered),
		VT_BOTH(nonsense_ends_its_connection_and_no_other),
		VT_BOTH(data_after_the_guests_last_word_ends_it),
		VT_BOTH(flags_that_mean_nothing_are_ignored),
		VT_BOTH(more_than_there_is_room_for_ends_it),
		VT_BOTH(an_answer_before_the_question_ends_it),
		VT_BOTH(a_request_is_answered_by_nothing_else),
		VT_BOTH(buffers_of_the_wrong_kind_break_the_queue),
		VT_BOTH(any_cut_is_the_same_packet),
		VT_BOTH(the_header_tells_the_length),
		VT_BOTH(a_guest_that_takes_no_answers_has_to_wait),
		VT_BOTH(connections_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
