// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-net on libslirp, by loopback alone: a host's socket talks through a forwarded port to an
 * echo server, and the guest's own connection reaches a socket of the host. The guest is a TCP of
 * a few lines, which trusts that nothing is lost.
 */
#include "tests/unit/test_virtio_net_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sidecore/backend/net_user.h"

#define GUEST_IP  0x0a00020fu
#define HOST_IP   0x0a000202u
#define ECHO_PORT 7
#define CHUNK     4000u
#define ROUNDS    60u
#define MAX_TURNS 400000u /* and at most a millisecond each while nothing happens */

static struct net_world n;
static const struct virtio_net_hdr_v1 plain;
static uint8_t frame[2048], chunk[CHUNK], answer[CHUNK];

/* The guest's end of a connection. */
static struct {
	uint8_t mac[6]; /* of the other side */
	uint16_t port, peer_port;
	uint32_t peer_ip;
	uint32_t next; /* what we send next */
	uint32_t want; /* what we expect next */
	bool open, closed;
	uint64_t got; /* bytes */
} tcp;

static uint32_t sum(uint32_t start, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		start += i % 2 ? b[i] : (uint32_t)b[i] << 8;
	return start;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

/* ---- the guest ---- */

static void send_frame(const void *bytes, uint32_t len)
{
	assert_int_equal(net_add_tx(&n, 0, &plain, bytes, len, NULL), 0);
	vw_kick(&n.d, 1);
	net_turn(&n);
	net_reap(&n, 1);
}

static void send_segment(uint8_t flags, const uint8_t *data, uint32_t len)
{
	uint8_t f[2048] = {0};
	struct iphdr ip = {.version = 4,
			   .ihl = 5,
			   .tot_len = htons((uint16_t)(40 + len)),
			   .ttl = 64,
			   .protocol = IPPROTO_TCP,
			   .saddr = htonl(GUEST_IP),
			   .daddr = htonl(tcp.peer_ip)};
	struct tcphdr h = {.source = htons(tcp.port),
			   .dest = htons(tcp.peer_port),
			   .seq = htonl(tcp.next),
			   .ack_seq = htonl(tcp.want),
			   .doff = 5,
			   .window = htons(60000)};
	uint32_t pseudo = (GUEST_IP >> 16) + (GUEST_IP & 0xffff) + (tcp.peer_ip >> 16) +
			  (tcp.peer_ip & 0xffff) + IPPROTO_TCP + 20 + len;

	memcpy(f, tcp.mac, 6);
	memcpy(f + 6, net_mac, 6);
	f[12] = 8;
	ip.check = htons((uint16_t)~fold(sum(0, &ip, 20)));
	memcpy(f + 14, &ip, 20);
	memcpy(f + 34, &h, 20);
	f[47] = flags;
	if (len)
		memcpy(f + 54, data, len);
	h.check = htons((uint16_t)~fold(sum(pseudo, f + 34, 20 + len)));
	memcpy(f + 50, &h.check, 2);
	send_frame(f, 54 + len);
	tcp.next += len + !!(flags & 3); /* SYN and FIN count */
}

#define FIN 0x01
#define SYN 0x02
#define ACK 0x10

static void answer_arp(uint8_t *f)
{
	const uint32_t self = htonl(GUEST_IP);

	if (f[21] == 2)
		memcpy(tcp.mac, f + 22, 6);
	if (f[21] != 1 || memcmp(f + 38, &self, 4))
		return;
	memcpy(f, f + 6, 6);
	memcpy(f + 6, net_mac, 6);
	f[21] = 2;
	memmove(f + 32, f + 22, 10);
	memcpy(f + 22, net_mac, 6);
	memcpy(f + 28, &self, 4);
	send_frame(f, 42);
}

/* The checksums are libslirp's to fill in: nothing was left to us. */
static void check_sums(const uint8_t *f, uint32_t tcp_len)
{
	uint32_t pseudo = sum(IPPROTO_TCP + tcp_len, f + 26, 8);

	assert_int_equal(fold(sum(0, f + 14, 20)), 0xffff);
	assert_int_equal(fold(sum(pseudo, f + 34, tcp_len)), 0xffff);
}

static void answer_tcp(const uint8_t *f)
{
	uint32_t tcp_len = ((uint32_t)f[16] << 8 | f[17]) - 20;
	uint32_t header = (f[46] >> 4) * 4u, len = tcp_len - header;
	uint8_t flags = f[47];
	struct tcphdr h;

	memcpy(&h, f + 34, sizeof(h));
	check_sums(f, tcp_len);
	if (flags & SYN) {
		memcpy(tcp.mac, f + 6, 6);
		tcp.port = ntohs(h.dest);
		tcp.peer_port = ntohs(h.source);
		memcpy(&tcp.peer_ip, f + 26, 4);
		tcp.peer_ip = ntohl(tcp.peer_ip);
		tcp.want = ntohl(h.seq) + 1;
		tcp.open = true;
		send_segment((uint8_t)(flags & ACK ? ACK : SYN | ACK), NULL, 0);
		return;
	}
	if (ntohl(h.seq) != tcp.want)
		return; /* a repetition */
	tcp.want += len + !!(flags & FIN);
	tcp.got += len;
	if (len)
		send_segment(ACK, f + 34 + header, len);
	if (flags & FIN) {
		send_segment(FIN | ACK, NULL, 0);
		tcp.closed = true;
	}
}

/* Serve the device for a moment, as a poller or when it has to be, and then be the guest. */
static void serve(void)
{
	struct pollfd p = {.fd = n.net.dev.wake_fd, .events = POLLIN};
	struct virtio_net_hdr_v1 hdr = {0};
	int64_t len;

	if (n.net.dev.env.polled || poll(&p, 1, 1) > 0)
		net_turn(&n);
	vw_queue_interrupts(&n.d, 0);
	while ((len = net_take(&n, 0, &hdr, frame, NULL)) >= 0) {
		assert_int_equal(hdr.flags | hdr.gso_type, 0);
		net_post_many(&n, 0, hdr.num_buffers, 1600);
		if (len >= 42 && frame[12] == 8 && frame[13] == 6)
			answer_arp(frame);
		else if (len >= 54 && frame[12] == 8 && !frame[13] && frame[23] == IPPROTO_TCP)
			answer_tcp(frame);
	}
}

/* ---- the host ---- */

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listener(uint16_t *port)
{
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in a = loopback(0);
	socklen_t size = sizeof(a);

	assert_int_equal(bind(sock, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(sock, 1), 0);
	assert_int_equal(getsockname(sock, (struct sockaddr *)&a, &size), 0);
	*port = ntohs(a.sin_port);
	return sock;
}

static uint16_t free_port(void)
{
	uint16_t port;

	close(listener(&port));
	return port;
}

/* Send @chunk and get it back. */
static void echo(int sock)
{
	size_t sent = 0, got = 0;

	for (unsigned turn = 0; got < CHUNK && turn < MAX_TURNS; turn++) {
		ssize_t rc = send(sock, chunk + sent, CHUNK - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (rc > 0)
			sent += (size_t)rc;
		rc = recv(sock, answer + got, CHUNK - got, MSG_DONTWAIT);
		assert_int_not_equal(rc, 0);
		if (rc > 0)
			got += (size_t)rc;
		serve();
	}
	assert_int_equal(got, CHUNK);
	assert_memory_equal(answer, chunk, CHUNK);
}

static void open_user(bool polled, const char *options)
{
	struct sx_error err = {""};

	memset(&n, 0, sizeof(n));
	memset(&tcp, 0, sizeof(tcp));
	tcp.next = 5000;
	if (sx_net_user_open(&n.backend, options, 0, &err) < 0)
		fail_msg("%s", err.text);
	net_build(&n, polled, 0);
	assert_true(polled || n.net.dev.wake_fd >= 0);
	net_up(&n, UINT64_MAX & ~SX_VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM));
	/* Frames are whole: no offload is offered in either direction. */
	assert_int_equal(n.d.features & (SX_NET_GUEST_OFFLOADS | SX_NET_HOST_OFFLOADS), 0);
	assert_int_equal(vw_read(&n.w, n.d.config + 10, 2), 1500);
	net_post_many(&n, 0, 200, 1600);
}

static int close_user(void **state)
{
	(void)state;
	if (!n.backend)
		return 0;
	net_forget_buffers(&n);
	net_close(&n);
	n.backend = NULL;
	return 0;
}

static bool polled_of(void **state)
{
	return *(bool *)*state;
}

static void a_forwarded_port_reaches_the_guest(void **state)
{
	struct sockaddr_in a;
	char options[64];
	uint16_t port = free_port();
	int sock;

	snprintf(options, sizeof(options), "hostfwd=tcp:%u-%u", port, ECHO_PORT);
	open_user(polled_of(state), options);
	sock = socket(AF_INET, SOCK_STREAM, 0);
	a = loopback(port);
	assert_int_equal(connect(sock, (struct sockaddr *)&a, sizeof(a)), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		net_fill(chunk, CHUNK, i);
		echo(sock);
	}
	assert_int_equal(tcp.port, ECHO_PORT);
	assert_int_equal(tcp.got, ROUNDS * CHUNK);
	assert_int_equal(shutdown(sock, SHUT_WR), 0);
	for (unsigned i = 0; i < MAX_TURNS && recv(sock, answer, 1, MSG_DONTWAIT) != 0; i++)
		serve();
	assert_true(tcp.closed);
	assert_int_equal(recv(sock, answer, 1, MSG_DONTWAIT), 0);
	assert_int_equal(n.backend->dropped, 0);
	close(sock);
}

static void the_guest_reaches_the_host(void **state)
{
	const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};
	const uint8_t request[] = {8, 6, 0, 1, 8,
				   0, 6, 4, 0, 1}; /* ARP, Ethernet, IPv4, who has? */
	const uint32_t guest = htonl(GUEST_IP), host = htonl(HOST_IP);
	uint8_t arp[42] = {0};
	uint16_t port;
	int listening = listener(&port), sock = -1;

	open_user(polled_of(state), "");
	memcpy(arp, broadcast, 6);
	memcpy(arp + 6, net_mac, 6);
	memcpy(arp + 12, request, sizeof(request));
	memcpy(arp + 22, net_mac, 6);
	memcpy(arp + 28, &guest, 4);
	memcpy(arp + 38, &host, 4);
	send_frame(arp, sizeof(arp));
	for (unsigned i = 0; i < MAX_TURNS && !tcp.mac[0]; i++)
		serve();
	assert_int_not_equal(tcp.mac[0], 0);
	tcp.port = 4000;
	tcp.peer_port = port;
	tcp.peer_ip = HOST_IP;
	send_segment(SYN, NULL, 0);
	for (unsigned i = 0; i < MAX_TURNS && !(tcp.open && sock >= 0); i++) {
		serve();
		if (sock < 0)
			sock = accept(listening, NULL, NULL);
	}
	assert_true(tcp.open && sock >= 0);
	for (unsigned i = 0; i < 10; i++) {
		net_fill(chunk, CHUNK, i);
		echo(sock);
	}
	close(sock);
	close(listening);
}

/* What a guest sends that is no packet harms nobody. */
static void garbage_is_ignored(void **state)
{
	uint32_t seed = 1;

	open_user(polled_of(state), "");
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t f[256];
		uint32_t len = 14 + i % 240;

		net_fill(f, len, i);
		seed = seed * 1664525u + 1013904223u;
		f[12] = seed >> 31 ? 0x86 : 0x08;
		f[13] = seed >> 31 ? 0xdd : (uint8_t)(seed >> 28 & 6);
		if (len > 34 && i % 2)
			f[14] = 0x45;
		send_frame(f, len);
		serve();
	}
	assert_int_equal(net_stats(&n).tx_frames, 1000);
	assert_int_equal(n.net.dev.faults, 0);
}

static void what_cannot_be_is_explained(void **state)
{
	static const char *const bad[] = {
		"hostfwd=tcp:1-",       "hostfwd=tcp:0-22",
		"hostfwd=sctp:1-2",     "hostfwd=tcp:70000-22",
		"hostfwd=tcp:5-6x",     "dns=1",
		"hostfwd=tcp:2222-22,", ",",
		"hostfwd=tcp:-1-22",    "hostfwd=tcp:123456-22",
	};
	struct sx_net_backend *b = NULL;
	struct sx_error err;
	char options[64];
	uint16_t port;
	int sock;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char spec[64];

		err.text[0] = 0;
		snprintf(spec, sizeof(spec), "user,%s", bad[i]);
		assert_int_equal(sx_net_open(&b, spec, 1, 0, &err), -EINVAL);
		assert_non_null(strstr(err.text, "hostfwd="));
		assert_null(b);
	}
	sock = listener(&port);
	snprintf(options, sizeof(options), "hostfwd=tcp:%u-22", port);
	err.text[0] = 0;
	assert_int_equal(sx_net_user_open(&b, options, 0, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "in use"));
	close(sock);
	assert_int_equal(sx_net_open(&b, "user", 4, 0, &err), 0);
	assert_int_equal(b->queues, 1);
	sx_net_close(b);
}

static bool trap_mode = false, split_mode = true;

#define BOTH(F)                                                 \
	{#F " (trap)", F, NULL, close_user, &trap_mode},        \
	{                                                       \
#F " (split)", F, NULL, close_user, &split_mode \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_forwarded_port_reaches_the_guest),
		BOTH(the_guest_reaches_the_host),
		BOTH(garbage_is_ignored),
		{"what_cannot_be_is_explained", what_cannot_be_is_explained, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
