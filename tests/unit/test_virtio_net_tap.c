// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-net on the kernel's tap, in a network namespace of the test's own. The other side is the
 * kernel's network stack, which answers ARP and ICMP and checks checksums, and a packet socket,
 * which sees and sends whole GSO frames.
 */
#include "tests/unit/test_virtio_net_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sidecore/backend/net_tap.h"

#define TAP       "sxtap"
#define HOST_IP   0x0a640001u /* 10.100.0.1 */
#define GUEST_IP  0x0a640002u
#define WAIT_MS   5000
#define GSO_BYTES 65000u /* of a TCP stream, in one frame */

#define OFFLOADS                                                                         \
	(NET_BIT(CSUM) | NET_BIT(HOST_TSO4) | NET_BIT(HOST_TSO6) | NET_BIT(GUEST_CSUM) | \
	 NET_BIT(GUEST_TSO4) | NET_BIT(GUEST_TSO6))

static struct net_world n;
static const struct virtio_net_hdr_v1 plain;
static uint8_t out[SX_NET_MAX_FRAME], in[SX_NET_MAX_FRAME];
static uint8_t host_mac[6];
static bool no_namespace;

/* ---- the namespace ---- */

static int enter_namespace(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		print_message("no network namespace can be made here: %s\n", strerror(errno));
		no_namespace = true;
	} else if (access("/dev/net/tun", R_OK | W_OK) < 0) {
		print_message("/dev/net/tun cannot be used: %s\n", strerror(errno));
		no_namespace = true;
	}
	return 0;
}

static void interface(unsigned long request, struct ifreq *ifr)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	memcpy(ifr->ifr_name, TAP, sizeof(TAP));
	assert_int_equal(ioctl(sock, request, ifr), 0);
	close(sock);
}

static void give_address(void)
{
	struct ifreq ifr = {0};
	struct sockaddr_in *a = (struct sockaddr_in *)(void *)&ifr.ifr_addr;

	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(HOST_IP);
	interface(SIOCSIFADDR, &ifr);
	a->sin_addr.s_addr = htonl(0xffffff00);
	interface(SIOCSIFNETMASK, &ifr);
	interface(SIOCGIFHWADDR, &ifr);
	memcpy(host_mac, ifr.ifr_hwaddr.sa_data, 6);
}

static void open_tap(bool polled, unsigned queues)
{
	struct sx_error err = {""};

	memset(&n, 0, sizeof(n));
	if (no_namespace)
		skip();
	if (sx_net_tap_open(&n.backend, TAP, queues, 0, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(n.backend->queues, queues);
	give_address();
	net_build(&n, polled, 0);
}

static int close_tap(void **state)
{
	(void)state;
	if (!n.backend)
		return 0;
	net_forget_buffers(&n);
	net_close(&n);
	n.backend = NULL;
	return if_nametoindex(TAP) != 0; /* it was ours, so it is gone */
}

/* ---- waiting ---- */

/* Serve the device for a little: as a poller, or when its descriptor says so. */
static void serve(void)
{
	struct pollfd p = {.fd = n.net.dev.wake_fd, .events = POLLIN};

	if (n.net.dev.env.polled || poll(&p, 1, 10) > 0)
		net_turn(&n);
	vw_queue_interrupts(&n.d, 0);
}

/* A frame of @type on @pair, -1 if there is none; others are nobody's. */
static int64_t look_for(unsigned pair, uint16_t type, struct virtio_net_hdr_v1 *hdr)
{
	int64_t len;

	while ((len = net_take(&n, pair, hdr, in, NULL)) >= 0) {
		net_post_many(&n, pair, hdr->num_buffers, 2048);
		if ((in[12] << 8 | in[13]) == type)
			return len;
	}
	return -1;
}

/* The next frame of @type that the kernel sends on one of the first @pairs. */
static int64_t await(unsigned pairs, uint16_t type, struct virtio_net_hdr_v1 *hdr)
{
	struct timespec start, now;
	int64_t len;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		serve();
		for (unsigned i = 0; i < pairs; i++) {
			len = look_for(i, type, hdr);
			if (len >= 0)
				return len;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000 < WAIT_MS);
	fail_msg("nothing came from the tap in %d ms", WAIT_MS);
	return -1;
}

static void send_frame(unsigned pair, const struct virtio_net_hdr_v1 *hdr, uint32_t len)
{
	static const uint32_t cut[] = {12, 0};

	assert_int_equal(net_add_tx(&n, pair, hdr, out, len, cut), 0);
	net_kick(&n, 2 * pair + 1);
	net_settle(&n);
	assert_int_equal(net_reap(&n, 2 * pair + 1), 1);
}

/* ---- packets ---- */

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

static uint32_t pseudo(uint32_t from, uint32_t to, uint8_t protocol, uint32_t len)
{
	return (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff) + protocol + len;
}

static void ether(uint8_t *f, const uint8_t *to, const uint8_t *from, uint16_t type)
{
	memcpy(f, to, 6);
	memcpy(f + 6, from, 6);
	f[12] = (uint8_t)(type >> 8);
	f[13] = (uint8_t)type;
}

static void ip(uint8_t *f, uint32_t from, uint32_t to, uint8_t protocol, uint32_t len)
{
	struct iphdr h = {.version = 4,
			  .ihl = 5,
			  .tot_len = htons((uint16_t)(20 + len)),
			  .ttl = 64,
			  .protocol = protocol,
			  .saddr = htonl(from),
			  .daddr = htonl(to)};

	memcpy(f + 14, &h, 20);
	h.check = htons((uint16_t)~fold(sum(0, f + 14, 20)));
	memcpy(f + 24, &h.check, 2);
}

/* Learn each other's address: the guest asks, and the kernel answers on one of @pairs. */
static void meet(unsigned pair, unsigned pairs)
{
	const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};
	const uint8_t request[] = {0, 1, 8, 0, 6, 4, 0, 1}; /* Ethernet, IPv4, who has? */
	struct virtio_net_hdr_v1 hdr = {0};
	const uint32_t guest = htonl(GUEST_IP), host = htonl(HOST_IP);

	memset(out, 0, 42);
	ether(out, broadcast, net_mac, ETH_P_ARP);
	memcpy(out + 14, request, sizeof(request));
	memcpy(out + 22, net_mac, 6);
	memcpy(out + 28, &guest, 4);
	memcpy(out + 38, &host, 4);
	send_frame(pair, &plain, 42);
	assert_true(await(pairs, ETH_P_ARP, &hdr) >= 42);
	assert_int_equal(in[21], ARPOP_REPLY);
	assert_memory_equal(in + 22, host_mac, 6);
}

static void start(uint64_t features)
{
	net_up(&n, features | NET_BIT(MRG_RXBUF) | NET_BIT(CTRL_VQ));
	net_post_many(&n, 0, 200, 2048);
}

static void command(const void *bytes, uint32_t len)
{
	const unsigned queue = net_control(&n);
	sx_gpa at = net_alloc(&n, len + 1);
	uint8_t *copy = vd_at(&n.w.memory, at);
	const struct vd_buffer b[] = {{at, len}, {at + len, 1}};
	uint32_t used;
	void *token;

	memcpy(copy, bytes, len);
	copy[len] = 99;
	assert_int_equal(vd_add(&n.d.queue[queue], b, 1, 1, NULL), 0);
	net_kick(&n, queue);
	assert_int_equal(vd_take(&n.d.queue[queue], &token, &used), 1);
	assert_int_equal(copy[len], VIRTIO_NET_OK);
}

static void set_pairs(uint8_t pairs)
{
	const uint8_t c[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, pairs, 0};

	command(c, sizeof(c));
}

/* Only what is sent to the guest itself: the kernel says this and that to groups. */
static void hear_less(void)
{
	const uint8_t c[] = {VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0};

	command(c, sizeof(c));
}

/* ---- cases ---- */

static bool polled_of(void **state)
{
	return *(bool *)*state;
}

static void the_kernel_answers_a_ping(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};
	const uint8_t echo[] = {8, 0, 0, 0, 0, 7, 0};
	const uint32_t len = 8 + 1000;

	open_tap(polled_of(state), 1);
	start(SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) | SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED));
	assert_int_equal(n.backend->mtu, 1500);
	meet(0, 1);
	for (uint8_t i = 0; i < 50; i++) {
		uint16_t check;

		net_fill(out, 34 + len, i);
		ether(out, host_mac, net_mac, ETH_P_IP);
		ip(out, GUEST_IP, HOST_IP, IPPROTO_ICMP, len);
		memcpy(out + 34, echo, sizeof(echo));
		out[41] = i;
		check = htons((uint16_t)~fold(sum(0, out + 34, len)));
		memcpy(out + 36, &check, 2);
		send_frame(0, &plain, 34 + len);
		assert_int_equal(await(1, ETH_P_IP, &hdr), 34 + len);
		assert_int_equal(in[34], 0); /* an echo reply */
		assert_memory_equal(in + 38, out + 38, len - 4);
		assert_memory_equal(in, net_mac, 6);
	}
}

static int udp_socket(uint16_t port)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(HOST_IP)};
	struct timeval t = {.tv_sec = 5};

	assert_true(sock >= 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0);
	return sock;
}

/* A datagram whose checksum covers only the pseudo header: the rest is left to the host. */
static uint32_t datagram(uint32_t len, struct virtio_net_hdr_v1 *hdr)
{
	struct udphdr h = {
		.source = htons(9), .dest = htons(7000), .len = htons((uint16_t)(8 + len))};

	net_fill(out, 42 + len, len);
	ether(out, host_mac, net_mac, ETH_P_IP);
	ip(out, GUEST_IP, HOST_IP, IPPROTO_UDP, 8 + len);
	h.check = htons(fold(pseudo(GUEST_IP, HOST_IP, IPPROTO_UDP, 8 + len)));
	memcpy(out + 34, &h, 8);
	*hdr = plain;
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = 34;
	hdr->csum_offset = 6;
	return 42 + len;
}

/* The kernel sends a datagram back; is its checksum right, or left to the guest as agreed? */
static void check_answer(int sock, bool offload)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(GUEST_IP)};
	struct virtio_net_hdr_v1 hdr = {0};
	uint16_t check;

	assert_int_equal(sendto(sock, out + 42, 700, 0, (struct sockaddr *)&a, sizeof(a)), 700);
	assert_int_equal(await(1, ETH_P_IP, &hdr), 742);
	assert_memory_equal(in + 42, out + 42, 700);
	assert_int_equal(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, offload);
	if (offload) {
		assert_int_equal(hdr.csum_start, 34);
		assert_int_equal(hdr.csum_offset, 6);
		memcpy(&check, in + 40, 2);
		assert_int_equal(ntohs(check), fold(pseudo(HOST_IP, GUEST_IP, IPPROTO_UDP, 708)));
	} else {
		assert_int_equal(
			fold(sum(pseudo(HOST_IP, GUEST_IP, IPPROTO_UDP, 708), in + 34, 708)),
			0xffff);
	}
}

static void checksums_are_left_to_the_other_side(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0};
	uint8_t got[2000];
	int sock;

	for (unsigned offload = 0; offload < 2; offload++) {
		open_tap(polled_of(state), 1);
		start(NET_BIT(CSUM) | (offload ? NET_BIT(GUEST_CSUM) : 0));
		meet(0, 1);
		sock = udp_socket(7000);
		send_frame(0, &hdr, datagram(1000, &hdr));
		assert_int_equal(recv(sock, got, sizeof(got), 0), 1000);
		assert_memory_equal(got, out + 42, 1000);
		check_answer(sock, offload);
		/* A wrong one, with nothing left to do, does not get through. */
		send_frame(0, &plain, datagram(900, &hdr));
		send_frame(0, &hdr, datagram(800, &hdr));
		assert_int_equal(recv(sock, got, sizeof(got), 0), 800);
		close(sock);
		assert_int_equal(close_tap(NULL), 0);
	}
}

static int packet_socket(void)
{
	int sock = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct sockaddr_ll a = {.sll_family = AF_PACKET,
				.sll_protocol = htons(ETH_P_ALL),
				.sll_ifindex = (int)if_nametoindex(TAP)};
	struct timeval t = {.tv_sec = 5};
	int on = 1;

	assert_true(sock >= 0);
	assert_int_equal(setsockopt(sock, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&a, sizeof(a)), 0);
	return sock;
}

/* A TCP segment of GSO_BYTES, to be cut into pieces of 1400. */
static uint32_t segment(bool from_guest, struct virtio_net_hdr_v1 *hdr)
{
	const uint32_t from = from_guest ? GUEST_IP : HOST_IP;
	const uint32_t to = from_guest ? HOST_IP : GUEST_IP;
	struct tcphdr h = {.source = htons(9),
			   .dest = htons(9000),
			   .seq = htonl(1000),
			   .doff = 5,
			   .ack = 1,
			   .window = htons(1000)};

	net_fill(out, 54 + GSO_BYTES, 7);
	ether(out, from_guest ? host_mac : net_mac, from_guest ? net_mac : host_mac, ETH_P_IP);
	ip(out, from, to, IPPROTO_TCP, 20 + GSO_BYTES);
	h.check = htons(fold(pseudo(from, to, IPPROTO_TCP, 20 + GSO_BYTES)));
	memcpy(out + 34, &h, 20);
	*hdr = (struct virtio_net_hdr_v1){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					  .hdr_len = 54,
					  .gso_size = 1400};
	hdr->csum_start = 34;
	hdr->csum_offset = 16;
	return 54 + GSO_BYTES;
}

static void whole_gso_frames_go_out(void **state)
{
	const size_t head = sizeof(struct virtio_net_hdr);
	static uint8_t got[SX_NET_MAX_FRAME + 64];
	struct virtio_net_hdr seen;
	struct virtio_net_hdr_v1 hdr = {0};
	uint32_t len;
	ssize_t rc;
	int sock;

	open_tap(polled_of(state), 1);
	start(OFFLOADS);
	sock = packet_socket();
	len = segment(true, &hdr);
	send_frame(0, &hdr, len);
	do
		rc = recv(sock, got, sizeof(got), 0);
	while (rc > 0 && rc < 1000); /* what the kernel says by itself */
	assert_int_equal(rc, head + len);
	memcpy(&seen, got, head);
	assert_int_equal(seen.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(seen.gso_size, 1400);
	assert_memory_equal(got + head, out, len);
	close(sock);
}

static void give_gso(int sock, uint32_t len, const struct virtio_net_hdr_v1 *hdr)
{
	const struct iovec v[2] = {{(void *)(uintptr_t)hdr, sizeof(struct virtio_net_hdr)},
				   {out, len}};

	assert_int_equal(writev(sock, v, 2), sizeof(struct virtio_net_hdr) + len);
}

static void whole_gso_frames_come_in(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0}, got = {0};
	uint32_t len;
	int sock;

	open_tap(polled_of(state), 1);
	start(OFFLOADS);
	sock = packet_socket();
	len = segment(false, &hdr);
	for (unsigned i = 0; i < 20; i++) { /* the first is read aside, the others in place */
		give_gso(sock, len, &hdr);
		assert_int_equal(await(1, ETH_P_IP, &got), len);
		assert_int_equal(got.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
		assert_int_equal(got.gso_size, 1400);
		assert_in_range(got.num_buffers, 32, 33);
		assert_memory_equal(in, out, len);
	}
	close(sock);
}

/* Few buffers are there when a frame comes that is read in place: it is kept, none is lost. */
static void what_does_not_fit_in_place_is_kept(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0}, got = {0};
	uint32_t len;
	int sock;

	(void)state;
	open_tap(true, 1);
	net_up(&n, OFFLOADS | NET_BIT(MRG_RXBUF) | NET_BIT(CTRL_VQ) | NET_BIT(CTRL_RX));
	hear_less();
	sock = packet_socket();
	len = segment(false, &hdr);
	for (unsigned i = 0; i < 10; i++) {
		give_gso(sock, len, &hdr);
		net_post_many(&n, 0, 1 + 3 * i, 2048);
		for (unsigned k = 0; k < 1000; k++)
			net_turn(&n);
		assert_int_equal(net_take(&n, 0, &got, in, NULL), -1);
		net_post_many(&n, 0, 32 - 1 - 3 * i, 2048);
		do {
			serve();
			if (net_take(&n, 0, &got, in, NULL) == len)
				break;
		} while (net_stats(&n).rx_frames < i + 1);
		assert_memory_equal(in, out, len);
	}
	assert_int_equal(net_stats(&n).rx_too_long, 0);
	close(sock);
}

/* Without the offload the kernel does the cutting, and the sums. */
static void a_guest_without_offloads_gets_pieces(void **state)
{
	struct virtio_net_hdr_v1 hdr = {0}, got = {0};
	uint32_t len, done = 0;
	int sock;

	open_tap(polled_of(state), 1);
	start(0);
	sock = packet_socket();
	len = segment(false, &hdr);
	give_gso(sock, len, &hdr);
	while (done < GSO_BYTES) {
		int64_t piece = await(1, ETH_P_IP, &got) - 54;

		assert_in_range(piece, 1, 1400);
		assert_int_equal(got.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
		assert_int_equal(got.gso_type, 0);
		assert_memory_equal(in + 54, out + 54 + done, piece);
		assert_int_equal(
			fold(sum(pseudo(HOST_IP, GUEST_IP, IPPROTO_TCP, 20 + (uint32_t)piece),
				 in + 34, 20 + (size_t)piece)),
			0xffff);
		done += (uint32_t)piece;
	}
	close(sock);
}

/* The kernel spreads flows as it likes, but never to a pair that is not used. */
static void queues_are_attached_as_pairs_are_used(void **state)
{
	open_tap(polled_of(state), 4);
	start(NET_BIT(MQ));
	for (unsigned i = 1; i < 4; i++)
		net_post_many(&n, i, 100, 2048);
	meet(0, 1);
	for (unsigned round = 0; round < 3; round++) {
		set_pairs(4);
		for (unsigned pair = 0; pair < 4; pair++)
			meet(pair, 4);
		set_pairs(2);
		meet(1, 2);
		set_pairs(1);
		meet(0, 1);
	}
	assert_int_equal(n.backend->gone, 0);
	net_forget_buffers(&n);
	net_down(&n);
	start(0);
	meet(0, 1);
}

static void delete_tap(void)
{
	int sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} m = {.h = {.nlmsg_len = sizeof(m),
		     .nlmsg_type = RTM_DELLINK,
		     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
	       .i = {.ifi_index = (int)if_nametoindex(TAP)}};
	char ack[4096];

	assert_int_equal(send(sock, &m, sizeof(m), 0), sizeof(m));
	assert_true(recv(sock, ack, sizeof(ack), 0) > 0);
	close(sock);
}

static void a_tap_that_is_deleted_is_a_link_that_is_down(void **state)
{
	open_tap(polled_of(state), 1);
	start(NET_BIT(STATUS));
	meet(0, 1);
	delete_tap();
	for (unsigned i = 0; i < 100 && !n.net.absent; i++)
		serve();
	assert_int_equal(vw_read(&n.w, n.d.config + 6, 2), 0);
	assert_int_equal(vw_config_interrupts(&n.d), 1);
	send_frame(0, &plain, 60);
	assert_int_equal(net_stats(&n).tx_refused, 1);
	assert_int_equal(n.net.dev.faults, 0);
	/* Nothing is left to wake up for. */
	if (!polled_of(state))
		assert_int_equal(
			poll(&(struct pollfd){.fd = n.net.dev.wake_fd, .events = POLLIN}, 1, 0), 0);
}

static void what_cannot_be_opened_is_explained(void **state)
{
	static const char *const names[] = {"",     "lo", "a/b", "with space", "sixteen-letters-",
					    "tap%d"};
	struct sx_net_backend *b = NULL, *second;
	struct sx_error err;

	(void)state;
	if (no_namespace)
		skip();
	for (unsigned i = 0; i < 6; i++) {
		err.text[0] = 0;
		assert_int_equal(sx_net_tap_open(&b, names[i], 1, 0, &err), -EINVAL);
		assert_non_null(strstr(err.text, names[i]));
	}
	assert_int_equal(sx_net_tap_open(&b, TAP, 0, 0, NULL), -EINVAL);
	assert_int_equal(sx_net_open(&b, "tap=" TAP, 1, 0, NULL), 0);
	err.text[0] = 0;
	assert_int_equal(sx_net_tap_open(&second, TAP, 1, 0, &err), -EBUSY);
	assert_non_null(strstr(err.text, "in use"));
	err.text[0] = 0;
	assert_int_equal(sx_net_tap_open(&second, TAP, 2, 0, &err), -EINVAL);
	assert_non_null(strstr(err.text, "several queues"));
	sx_net_close(b);
	assert_int_equal(if_nametoindex(TAP), 0);
}

static bool trap_mode = false, split_mode = true;

#define BOTH(F)                                                \
	{#F " (trap)", F, NULL, close_tap, &trap_mode},        \
	{                                                      \
#F " (split)", F, NULL, close_tap, &split_mode \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(the_kernel_answers_a_ping),
		BOTH(checksums_are_left_to_the_other_side),
		BOTH(whole_gso_frames_go_out),
		BOTH(whole_gso_frames_come_in),
		{"what_does_not_fit_in_place_is_kept", what_does_not_fit_in_place_is_kept, NULL,
		 close_tap, NULL},
		BOTH(a_guest_without_offloads_gets_pieces),
		BOTH(queues_are_attached_as_pairs_are_used),
		BOTH(a_tap_that_is_deleted_is_a_link_that_is_down),
		{"what_cannot_be_opened_is_explained", what_cannot_be_opened_is_explained, NULL,
		 NULL, NULL},
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
