// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-vsock at work: connections from both sides, credit, and how they end (virtio 1.2, 5.10).
 */
#include "tests/unit/test_virtio_vsock_world.h"

#define BULK  (3u << 20)
#define PEERS 3u

VT_WORLD

static uint8_t data[1 << 20], got[1 << 20];

/* ---- what the device is ---- */

static void it_says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(vw_read(&t.w, t.d.config, 8), VT_CID);
	assert_true(t.d.features & 1);  /* streams */
	assert_false(t.d.features & 2); /* no SEQPACKET */
	assert_int_equal(t.v.dev.queues, 3);
	vw_write(&t.w, t.d.config, 8, 77);
	assert_int_equal(vw_read(&t.w, t.d.config, 8), VT_CID);
}

/* ---- beginnings ---- */

static void a_host_program_reaches_the_guest(void **state)
{
	struct vt_packet p;
	uint32_t port;
	int fd = vt_connected(&t, &port);

	(void)state;
	assert_in_range(port, 1u << 30, (1u << 31) - 1);
	vt_say(&t, fd, "hello guest");
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(p.h.src_cid, 2);
	assert_int_equal(p.h.type, VIRTIO_VSOCK_TYPE_STREAM);
	assert_int_equal(p.h.src_port, port);
	assert_int_equal(p.h.buf_alloc, SX_VSOCK_BUFFER);
	assert_int_equal(p.h.fwd_cnt, 0);
	assert_int_equal(p.h.len, 11);
	assert_memory_equal(p.data, "hello guest", 11);
	vt_send_data(&t, VT_PORT, port, "hello host", 10);
	vt_hears(&t, fd, "hello host", false);
	vt_say(&t, fd, "!");
	vt_await(&t, &p);
	assert_int_equal(p.h.fwd_cnt, 10);
	assert_int_equal(t.v.stats.from_host, 1);
	assert_int_equal(t.v.stats.to_guest_bytes, 12);
	assert_int_equal(t.v.stats.to_host_bytes, 10);
	close(fd);
}

static void the_guest_reaches_a_host_program(void **state)
{
	int listener = vt_host_listen(&t, 99);
	int fd = vt_called(&t, listener, 5000, 99);
	struct vt_packet p;

	(void)state;
	vt_send_data(&t, 5000, 99, "ping", 4);
	vt_hears(&t, fd, "ping", false);
	vt_say(&t, fd, "pong");
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(p.h.src_port, 99);
	assert_int_equal(p.h.dst_port, 5000);
	assert_memory_equal(p.data, "pong", 4);
	assert_int_equal(t.v.stats.from_guest, 1);
	assert_int_equal(t.v.stats.refused, 0);
	close(fd);
	close(listener);
}

static void where_nobody_listens_the_guest_is_refused(void **state)
{
	(void)state;
	vt_send(&t, VIRTIO_VSOCK_OP_REQUEST, 5000, 99);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, 5000, 99);
	assert_int_equal(t.v.stats.refused, 1);
	assert_int_equal(t.v.open, 0);
}

static void where_nobody_listens_the_host_is_refused(void **state)
{
	int fd = vt_host_connect(&t);
	struct vt_packet p;

	(void)state;
	vt_say(&t, fd, "CONNECT 7\n");
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_REQUEST);
	vt_send(&t, VIRTIO_VSOCK_OP_RST, 7, p.h.src_port);
	vt_hears(&t, fd, "", true);
	assert_int_equal(t.v.stats.refused, 1);
	assert_int_equal(t.v.stats.from_host, 0);
	assert_int_equal(t.v.open, 0);
	vt_expect_nothing(&t);
	close(fd);
}

/* Bytes that follow the line without waiting for the answer belong to the connection. */
static void what_follows_the_line_is_data(void **state)
{
	int fd = vt_host_connect(&t);
	struct vt_packet p;
	uint32_t port;

	(void)state;
	vt_say(&t, fd, "CONNECT 1234\nimpatient\n");
	vt_await(&t, &p);
	port = p.h.src_port;
	vt_expect_nothing(&t);
	vt_send(&t, VIRTIO_VSOCK_OP_RESPONSE, VT_PORT, port);
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(p.h.len, 10);
	assert_memory_equal(p.data, "impatient\n", 10);
	close(fd);
}

/* Who said all it had to say, and is gone before the guest answered, is heard all the same. */
static void a_hasty_program_is_heard(void **state)
{
	int fd = vt_host_connect(&t);
	struct vt_packet p;
	uint32_t port;

	(void)state;
	vt_say(&t, fd, "CONNECT 1234\nbye");
	close(fd);
	vt_await(&t, &p);
	port = p.h.src_port;
	vt_send(&t, VIRTIO_VSOCK_OP_RESPONSE, VT_PORT, port);
	do
		vt_await(&t, &p);
	while (p.h.op == VIRTIO_VSOCK_OP_SHUTDOWN && p.h.flags == VIRTIO_VSOCK_SHUTDOWN_RCV);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(p.data, "bye", 3);
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(p.h.flags, VT_OPEN);
}

/* ---- ends ---- */

static void the_guest_closes(void **state)
{
	uint32_t port;
	int fd = vt_connected(&t, &port);

	(void)state;
	vt_send_data(&t, VT_PORT, port, "last words", 10);
	vt_send_shutdown(&t, VT_PORT, port, VT_OPEN);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, port);
	vt_hears(&t, fd, "last words", true);
	assert_int_equal(t.v.open, 0);
	close(fd);
	vt_expect_nothing(&t);
}

static void the_host_closes(void **state)
{
	struct vt_packet p;
	uint32_t port;
	int fd = vt_connected(&t, &port);

	(void)state;
	assert_int_equal(send(fd, "last", 4, 0), 4);
	close(fd);
	do
		vt_await(&t, &p);
	while (p.h.op == VIRTIO_VSOCK_OP_SHUTDOWN && p.h.flags == VIRTIO_VSOCK_SHUTDOWN_RCV);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(p.data, "last", 4);
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(p.h.flags, VT_OPEN);
	vt_expect_nothing(&t);
	assert_int_equal(t.v.open, 1);
	/* The guest has read all, and says so. */
	vt_send(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, port);
	assert_int_equal(t.v.open, 0);
	vt_expect_nothing(&t);
}

/* What the guest sends to a program that is gone is lost, but it does not come to a stop. */
static void a_program_vanishes_while_the_guest_sends(void **state)
{
	struct vt_packet p;
	uint32_t port;
	int fd = vt_connected(&t, &port);

	(void)state;
	close(fd);
	for (unsigned i = 0; i < 64; i++)
		vt_send_data(&t, VT_PORT, port, data, 16 << 10);
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_SHUTDOWN);
	while (vt_take(&t, &p))
		assert_true(p.h.op == VIRTIO_VSOCK_OP_SHUTDOWN ||
			    p.h.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(t.v.stats.resets, 0);
	vt_send_shutdown(&t, VT_PORT, port, VT_OPEN);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, port);
	assert_int_equal(t.v.open, 0);
}

static void a_guest_that_sends_no_more_still_listens(void **state)
{
	struct vt_packet p;
	uint32_t port;
	int fd = vt_connected(&t, &port);

	(void)state;
	vt_send_data(&t, VT_PORT, port, "question", 8);
	vt_send_shutdown(&t, VT_PORT, port, VIRTIO_VSOCK_SHUTDOWN_SEND);
	vt_hears(&t, fd, "question", true);
	vt_say(&t, fd, "answer");
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(p.data, "answer", 6);
	close(fd);
	do
		vt_await(&t, &p);
	while (p.h.flags != VT_OPEN);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_SHUTDOWN);
}

static void a_program_that_sends_no_more_still_listens(void **state)
{
	struct vt_packet p;
	uint32_t port;
	int fd = vt_connected(&t, &port);

	(void)state;
	vt_say(&t, fd, "question");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	vt_await(&t, &p);
	assert_memory_equal(p.data, "question", 8);
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(p.h.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	vt_send_data(&t, VT_PORT, port, "answer", 6);
	vt_hears(&t, fd, "answer", false);
	vt_send_shutdown(&t, VT_PORT, port, VT_OPEN);
	vt_hears(&t, fd, "", true);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, port);
	assert_int_equal(t.v.open, 0);
	close(fd);
}

static void a_guest_that_reads_no_more_is_not_sent_to(void **state)
{
	uint32_t port;
	int fd = vt_connected(&t, &port);

	(void)state;
	vt_send_shutdown(&t, VT_PORT, port, VIRTIO_VSOCK_SHUTDOWN_RCV);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	vt_send_data(&t, VT_PORT, port, "still here", 10);
	vt_hears(&t, fd, "still here", false);
	vt_expect_nothing(&t);
	close(fd);
}

/* The guest's driver goes away: programs are told, and new ones wait until it is back. */
static void a_reset_ends_all_connections(void **state)
{
	int listener = vt_host_listen(&t, 99);
	uint32_t port;
	int fd[3] = {vt_connected(&t, &port), vt_called(&t, listener, 5000, 99), -1};
	struct vt_packet p;

	(void)state;
	vt_down(&t);
	assert_int_equal(t.v.open, 0);
	vt_hears(&t, fd[0], "", true);
	vt_hears(&t, fd[1], "", true);
	fd[2] = vt_host_connect(&t);
	vt_say(&t, fd[2], "CONNECT 1234\n");
	assert_int_equal(t.v.open, 0);
	vt_up(&t, VT_FEATURES);
	vt_post(&t, 16);
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_REQUEST);
	for (unsigned i = 0; i < 3; i++)
		close(fd[i]);
	close(listener);
}

/* ---- credit ---- */

/* The guest is sent what it has room for, and is asked when that is used up. */
static void the_guests_room_is_respected(void **state)
{
	struct virtio_vsock_hdr h;
	int listener = vt_host_listen(&t, 99), fd;
	uint32_t taken = 0;
	struct vt_packet p;

	(void)state;
	vt_fill(data, 10000, 1);
	h = vt_header(VIRTIO_VSOCK_OP_REQUEST, 5000, 99);
	h.buf_alloc = 700;
	vt_send_header(&t, &h, NULL, 0);
	vt_expect(&t, VIRTIO_VSOCK_OP_RESPONSE, 5000, 99);
	fd = vt_host_accept(listener);
	assert_int_equal(send(fd, data, 10000, 0), 10000);
	while (taken < 10000) {
		uint32_t want = 10000 - taken < 700 ? 10000 - taken : 700;

		vt_await(&t, &p);
		assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RW);
		assert_int_equal(p.h.len, want);
		assert_memory_equal(p.data, data + taken, want);
		taken += want;
		if (taken < 10000)
			vt_expect(&t, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 5000, 99);
		vt_expect_nothing(&t);
		h.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
		h.fwd_cnt = taken;
		vt_send_header(&t, &h, NULL, 0);
	}
	close(fd);
	close(listener);
}

/* Room that is taken back is not used; what is on the way already is the guest's affair. */
static void a_guest_takes_room_back(void **state)
{
	struct virtio_vsock_hdr h;
	uint32_t port;
	int fd = vt_connected(&t, &port);
	struct vt_packet p;

	(void)state;
	h = vt_header(VIRTIO_VSOCK_OP_CREDIT_UPDATE, VT_PORT, port);
	h.buf_alloc = 0;
	vt_send_header(&t, &h, NULL, 0);
	vt_say(&t, fd, "waiting");
	vt_expect(&t, VIRTIO_VSOCK_OP_CREDIT_REQUEST, VT_PORT, port);
	vt_send_header(&t, &h, NULL, 0);
	vt_expect_nothing(&t);
	h.buf_alloc = 3;
	vt_send_header(&t, &h, NULL, 0);
	vt_await(&t, &p);
	assert_int_equal(p.h.len, 3);
	vt_expect(&t, VIRTIO_VSOCK_OP_CREDIT_REQUEST, VT_PORT, port);
	h.buf_alloc = 1;
	vt_send_header(&t, &h, NULL, 0);
	vt_expect_nothing(&t);
	h.buf_alloc = 7;
	vt_send_header(&t, &h, NULL, 0);
	vt_await(&t, &p);
	assert_int_equal(p.h.len, 4);
	assert_memory_equal(p.data, "ting", 4);
	close(fd);
}

static void the_guest_may_ask_for_our_room(void **state)
{
	struct vt_packet p;
	uint32_t port;
	int fd = vt_connected(&t, &port);

	(void)state;
	vt_send_data(&t, VT_PORT, port, data, 1000);
	vt_expect_nothing(&t);
	vt_send(&t, VIRTIO_VSOCK_OP_CREDIT_REQUEST, VT_PORT, port);
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(p.h.fwd_cnt, 1000);
	assert_int_equal(p.h.buf_alloc, SX_VSOCK_BUFFER);
	close(fd);
}

/* Send until our room is used up: the program reads nothing. Returns how much it was. */
static uint32_t fill_room(uint32_t port)
{
	const uint32_t chunk = 4096;
	struct vt_packet p;
	uint32_t sent = 0, forwarded = 0;

	while (sent - forwarded + chunk <= SX_VSOCK_BUFFER) {
		assert_true(sent + chunk <= sizeof(data));
		vt_send_data(&t, VT_PORT, port, data + sent, chunk);
		sent += chunk;
		while (vt_take(&t, &p)) {
			assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
			forwarded = p.h.fwd_cnt;
		}
		/* The guest may also ask, and gets it exactly. */
		if (sent - forwarded + chunk <= SX_VSOCK_BUFFER)
			continue;
		vt_send(&t, VIRTIO_VSOCK_OP_CREDIT_REQUEST, VT_PORT, port);
		vt_await(&t, &p);
		forwarded = p.h.fwd_cnt;
	}
	return sent;
}

/* Read all that is to come, @len bytes of `data`, and the end if @end. */
static void read_all(int fd, uint32_t len, bool end)
{
	uint32_t n = 0;
	bool ended = false;

	while (n < len) {
		ssize_t rc = vt_hear(&t, fd, got + n, len - n, &ended);

		assert_true(rc > 0);
		n += (uint32_t)rc;
	}
	assert_memory_equal(got, data, len);
	vt_hears(&t, fd, "", end);
}

static void a_slow_program_gets_all_and_tells_the_guest(void **state)
{
	struct vt_packet p;
	uint32_t port, sent;
	int fd = vt_connected(&t, &port);

	(void)state;
	vt_fill(data, sizeof(data), 3);
	sent = fill_room(port);
	assert_true(sent > SX_VSOCK_BUFFER);
	vt_expect_nothing(&t);
	read_all(fd, sent, false);
	vt_await(&t, &p);
	assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	while (p.h.fwd_cnt != sent)
		vt_await(&t, &p);
	assert_int_equal(t.v.stats.to_host_bytes, sent);
	close(fd);
}

/* The guest has closed, or has even restarted; a slow program gets what was sent to it. */
static void what_was_sent_arrives_after_the_end(void **state)
{
	uint32_t port, sent;
	int fd = vt_connected(&t, &port);

	(void)state;
	vt_fill(data, sizeof(data), 4);
	sent = fill_room(port);
	vt_send_shutdown(&t, VT_PORT, port, VT_OPEN);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, port);
	assert_int_equal(t.v.open, 1);
	/* The guest may use its port again at once. */
	vt_send(&t, VIRTIO_VSOCK_OP_CREDIT_REQUEST, VT_PORT, port);
	vt_expect(&t, VIRTIO_VSOCK_OP_RST, VT_PORT, port);
	read_all(fd, sent, true);
	assert_int_equal(t.v.open, 0);
	close(fd);
}

static void what_was_sent_arrives_after_a_reset(void **state)
{
	uint32_t port, sent;
	int fd = vt_connected(&t, &port);

	(void)state;
	vt_fill(data, sizeof(data), 5);
	sent = fill_room(port);
	vt_down(&t);
	read_all(fd, sent, true);
	assert_int_equal(t.v.open, 0);
	close(fd);
}

/* ---- much of it ---- */

/* A host's program and the guest's end of one stream, both ways at once. */
struct stream {
	int fd;
	uint32_t port;
	uint32_t host_sent, host_got, guest_sent, guest_got;
	uint32_t room, forwarded; /* the device's, as it said */
};

static uint8_t byte_at(uint32_t i, unsigned stream)
{
	return (uint8_t)(i * 2654435761u >> 24) ^ (uint8_t)(stream * 37);
}

static void fill_from(uint8_t *to, uint32_t at, uint32_t len, unsigned stream)
{
	for (uint32_t i = 0; i < len; i++)
		to[i] = byte_at(at + i, stream);
}

static void check_from(const uint8_t *bytes, uint32_t at, uint32_t len, unsigned stream)
{
	for (uint32_t i = 0; i < len; i++)
		if (bytes[i] != byte_at(at + i, stream))
			fail_msg("byte %u of stream %u is wrong", at + i, stream);
}

static void be_the_host(struct stream *s, unsigned stream, uint32_t chunk)
{
	uint32_t left = BULK - s->host_sent, len = chunk < left ? chunk : left;
	ssize_t n;

	fill_from(data, s->host_sent, len, stream);
	n = len ? send(s->fd, data, len, MSG_NOSIGNAL) : 0;
	s->host_sent += n > 0 ? (uint32_t)n : 0;
	n = recv(s->fd, got, chunk + 1, 0);
	if (n > 0)
		check_from(got, s->host_got, (uint32_t)n, stream + 1);
	s->host_got += n > 0 ? (uint32_t)n : 0;
}

static void guest_sends(struct stream *s, unsigned stream, uint32_t chunk)
{
	struct virtio_vsock_hdr h = vt_header(VIRTIO_VSOCK_OP_RW, VT_PORT, s->port);
	uint32_t room = s->room - (s->guest_sent - s->forwarded);

	h.buf_alloc = 1 << 16;
	h.fwd_cnt = s->guest_got;
	h.len = chunk < room ? chunk : room;
	if (h.len > BULK - s->guest_sent)
		h.len = BULK - s->guest_sent;
	fill_from(data, s->guest_sent, h.len, stream + 1);
	/* With nothing to be sent it tells what it took. */
	if (!h.len)
		h.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	if (vt_try_send(&t, &h, data, h.len) == 0)
		s->guest_sent += h.len;
}

static void guest_takes(struct stream *all)
{
	struct vt_packet p;

	while (vt_take(&t, &p)) {
		struct stream *s = all;

		while (s->port != p.h.src_port)
			s++;
		s->room = p.h.buf_alloc;
		s->forwarded = p.h.fwd_cnt;
		if (p.h.op == VIRTIO_VSOCK_OP_RW)
			check_from(p.data, s->guest_got, p.h.len, (unsigned)(s - all));
		else
			assert_true(p.h.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE ||
				    p.h.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST);
		s->guest_got += p.h.len;
	}
}

static bool is_done(const struct stream *s)
{
	return s->host_got == BULK && s->guest_got == BULK;
}

static void move_bulk(void)
{
	struct stream s[PEERS] = {{0}};
	uint32_t seed = 1;
	unsigned done = 0;

	for (unsigned i = 0; i < PEERS; i++) {
		s[i].fd = vt_connected(&t, &s[i].port);
		s[i].room = SX_VSOCK_BUFFER;
	}
	for (unsigned turn = 0; done < PEERS; turn++) {
		assert_true(turn < 100000);
		done = 0;
		for (unsigned i = 0; i < PEERS; i++) {
			seed = seed * 1664525u + 1013904223u;
			be_the_host(&s[i], i, seed >> 16);
			guest_sends(&s[i], i, seed >> 17);
			vt_turn(&t);
			guest_takes(s);
			done += is_done(&s[i]);
		}
	}
	for (unsigned i = 0; i < PEERS; i++)
		close(s[i].fd);
	assert_int_equal(t.v.stats.to_host_bytes, (uint64_t)PEERS * BULK);
	assert_int_equal(t.v.stats.to_guest_bytes, (uint64_t)PEERS * BULK);
	assert_int_equal(t.v.stats.malformed + t.v.stats.resets, 0);
}

static void streams_arrive_whole_and_in_order(void **state)
{
	(void)state;
	move_bulk();
}

static void the_same_by_packed_rings_in_order(void **state)
{
	(void)state;
	vt_down(&t);
	vt_up(&t, VT_FEATURES);
	assert_true(t.d.features & SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED));
	vt_post(&t, VT_RING / 2);
	move_bulk();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VT_BOTH(it_says_what_it_is),
		VT_BOTH(a_host_program_reaches_the_guest),
		VT_BOTH(the_guest_reaches_a_host_program),
		VT_BOTH(where_nobody_listens_the_guest_is_refused),
		VT_BOTH(where_nobody_listens_the_host_is_refused),
		VT_BOTH(what_follows_the_line_is_data),
		VT_BOTH(a_hasty_program_is_heard),
		VT_BOTH(the_guest_closes),
		VT_BOTH(the_host_closes),
		VT_BOTH(a_program_vanishes_while_the_guest_sends),
		VT_BOTH(a_guest_that_sends_no_more_still_listens),
		VT_BOTH(a_program_that_sends_no_more_still_listens),
		VT_BOTH(a_guest_that_reads_no_more_is_not_sent_to),
		VT_BOTH(a_reset_ends_all_connections),
		VT_BOTH(the_guests_room_is_respected),
		VT_BOTH(a_guest_takes_room_back),
		VT_BOTH(the_guest_may_ask_for_our_room),
		VT_BOTH(a_slow_program_gets_all_and_tells_the_guest),
		VT_BOTH(what_was_sent_arrives_after_the_end),
		VT_BOTH(what_was_sent_arrives_after_a_reset),
		VT_BOTH(streams_arrive_whole_and_in_order),
		VT_BOTH(the_same_by_packed_rings_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
