// SPDX-License-Identifier: BSD-3-Clause
/*
 * DPDK ports as back ends, by the plug-in as it is built: software rings, capture files, nothing
 * at all, and a tap in a network namespace of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ipc/wire/types.h"
#include "sidecore/backend/net.h"
#include "tests/unit/test_net_frames.h"

#define TAP      "sxport"
#define GUEST(F) SX_NET_BIT(VIRTIO_NET_F_GUEST_##F)
#define HOST(F)  SX_NET_BIT(VIRTIO_NET_F_##F)

static struct sx_net_backend *b;
static uint8_t out[SX_NET_MAX_FRAME], in[SX_NET_MAX_FRAME];
static char folder[] = "/tmp/splitx-test-XXXXXX";
static bool no_namespace;

/* ---- the world ---- */

static int enter_world(void **state)
{
	(void)state;
	no_namespace = unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0;
	if (!no_namespace)
		no_namespace = access("/dev/net/tun", R_OK | W_OK) < 0;
	if (no_namespace)
		print_message("no network namespace with a tap can be made here\n");
	return mkdtemp(folder) ? 0 : -1;
}

static int leave_world(void **state)
{
	(void)state;
	return rmdir(folder);
}

static void open_port(const char *devargs, unsigned queues, unsigned mtu)
{
	struct sx_error err = {""};
	char spec[256];
	int rc;

	snprintf(spec, sizeof(spec), "port=%s", devargs);
	rc = sx_net_open(&b, spec, queues, mtu, &err);
	if (rc == -ENOTSUP) {
		print_message("%s\n", err.text);
		skip();
	}
	if (rc < 0)
		fail_msg("%s", err.text);
}

static int close_port(void **state)
{
	(void)state;
	sx_net_close(b);
	b = NULL;
	return 0;
}

static void refuse(const char *spec, unsigned queues, unsigned mtu, int code, const char *says)
{
	struct sx_net_backend *none = NULL;
	struct sx_error err = {""};

	assert_int_equal(sx_net_open(&none, spec, queues, mtu, &err), code);
	assert_null(none);
	assert_non_null(strstr(err.text, says));
	assert_null(strchr(err.text, '\n'));
}

/* ---- frames ---- */

/* Send out[0..len), in three pieces, with @hdr; returns whether it was taken. */
static bool send_as(unsigned queue, uint32_t len, const struct virtio_net_hdr_v1 *hdr)
{
	struct iovec seg[3] = {
		{out, 1}, {out + 1, len / 2}, {out + 1 + len / 2, len - 1 - len / 2}};
	struct sx_net_frame f = {.hdr = *hdr, .len = len, .segs = 3, .seg = seg};

	return b->ops->send(b, queue, &f, 1) == 1;
}

static bool send_plain(unsigned queue, uint32_t len, uint32_t seed)
{
	static const struct virtio_net_hdr_v1 plain;

	frame_fill(out, len, seed);
	return send_as(queue, len, &plain);
}

/* Take the next frame into in[]; -1: none has come. */
static int64_t take(unsigned queue)
{
	struct sx_net_frame f;
	int64_t len = 0;

	if (!b->ops->peek(b, queue, &f, 1))
		return -1;
	for (unsigned i = 0; i < f.segs; i++) {
		memcpy(&in[len], f.seg[i].iov_base, f.seg[i].iov_len);
		len += (int64_t)f.seg[i].iov_len;
	}
	assert_int_equal(len, f.len);
	b->ops->release(b, queue, 1);
	return len;
}

static void take_plain(unsigned queue, uint32_t len, uint32_t seed)
{
	static uint8_t want[SX_NET_MAX_FRAME];

	assert_int_equal(take(queue), len);
	frame_fill(want, len, seed);
	assert_memory_equal(in, want, len);
}

static uint64_t dropped(void)
{
	return sx_load_relaxed(&b->dropped);
}

/* ---- rings: what is sent on a queue comes back on it ---- */

static void frames_of_all_lengths_come_back(void **state)
{
	static const uint32_t lengths[] = {14, 15, 60, 64, 65, 127, 1000, 1514, 1518, 2048};

	(void)state;
	open_port("net_ring0", 1, 0);
	assert_int_equal(b->queues, 1);
	assert_int_equal(b->mtu, 1500);
	assert_int_equal(b->features, 0);
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		assert_true(send_plain(0, lengths[i], i));
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		take_plain(0, lengths[i], i);
	assert_int_equal(take(0), -1);
	assert_int_equal(dropped(), 0);
}

/* Up to 16 KiB a frame is in one piece, above that in several. */
static void long_frames_come_back(void **state)
{
	static const uint32_t lengths[] = {2049, 9014, 16384, 16385, 40000, 60014};

	(void)state;
	open_port("net_ring0", 1, 60000);
	assert_int_equal(b->mtu, 60000);
	for (unsigned i = 0; i < 6; i++) {
		assert_true(send_plain(0, lengths[i], i));
		take_plain(0, lengths[i], i);
	}
	assert_int_equal(dropped(), 0);
}

/* Longer than the MTU that was asked for: the device lets none through; if so, it is dropped. */
static void a_frame_that_is_too_long_is_dropped(void **state)
{
	(void)state;
	open_port("net_ring0", 1, 0);
	assert_true(send_plain(0, 2049, 1));
	assert_int_equal(take(0), -1);
	assert_int_equal(dropped(), 1);
}

/* What a full ring does not take is not lost: the device has it still. */
static void a_full_port_takes_no_more(void **state)
{
	struct iovec seg = {out, 100};
	struct sx_net_frame f[100];
	uint32_t sent = 0, more;

	(void)state;
	open_port("net_ring0", 1, 0);
	frame_fill(out, 100, 0);
	for (unsigned i = 0; i < 100; i++)
		f[i] = (struct sx_net_frame){.len = 100, .segs = 1, .seg = &seg};
	while ((more = b->ops->send(b, 0, f, 100)))
		sent += more;
	assert_int_equal(sent, 1023); /* what a net_ring holds */
	assert_int_equal(dropped(), 0);
	take_plain(0, 100, 0);
	take_plain(0, 100, 0);
	assert_int_equal(b->ops->send(b, 0, f, 100), 64); /* it was emptied by a burst */
	for (unsigned i = 2; i < sent + 64; i++)
		take_plain(0, 100, 0);
	assert_int_equal(take(0), -1);
}

/* What was shown and not released is shown again. */
static void frames_stay_until_released(void **state)
{
	struct sx_net_frame f[8];

	(void)state;
	open_port("net_ring0", 1, 0);
	for (unsigned i = 0; i < 5; i++)
		assert_true(send_plain(0, 100 + i, i));
	assert_int_equal(b->ops->peek(b, 0, f, 8), 5);
	assert_int_equal(b->ops->peek(b, 0, f, 2), 2);
	assert_int_equal(f[1].len, 101);
	b->ops->release(b, 0, 1);
	assert_int_equal(b->ops->peek(b, 0, f, 8), 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(f[i].len, 101 + i);
	/* The end gives back what is held. */
}

static void queues_are_apart(void **state)
{
	(void)state;
	open_port("net_ring0", 4, 0);
	assert_int_equal(b->queues, 4);
	assert_int_equal(b->ops->set_queues(b, 4), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_true(send_plain(i, 100 + i, i));
	for (unsigned i = 4; i--;) {
		take_plain(i, 100 + i, i);
		assert_int_equal(take(i), -1);
	}
}

/* Where a port cannot be told to leave queues out, nothing that comes on them is lost. */
static void unused_queues_go_to_the_first(void **state)
{
	(void)state;
	open_port("net_ring0", 4, 0);
	assert_int_equal(b->ops->set_queues(b, 2), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_true(send_plain(i, 100 + i, i));
	take_plain(0, 100, 0);
	take_plain(0, 102, 2);
	take_plain(0, 103, 3);
	assert_int_equal(take(0), -1);
	take_plain(1, 101, 1);
	assert_int_equal(dropped(), 0);
}

/* ---- checksums, where the port has none ---- */

static void checksums_are_filled_in(void **state)
{
	(void)state;
	open_port("net_ring0", 1, 60000);
	for (uint32_t payload = 0; payload < 40000; payload = payload * 3 + 1) {
		struct virtio_net_hdr_v1 hdr;
		uint32_t len = frame_udp(out, payload, &hdr);

		assert_true(send_as(0, len, &hdr));
		assert_int_equal(take(0), len);
		assert_true(frame_sums_up(in, len));
		assert_memory_equal(&in[42], &out[42], payload);
	}
	assert_int_equal(dropped(), 0);
}

static void a_checksum_out_of_reach_is_dropped(void **state)
{
	const struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 20000, .csum_offset = 6};

	(void)state;
	open_port("net_ring0", 1, 60000);
	frame_fill(out, 30000, 1);
	assert_true(send_as(0, 30000, &hdr));
	assert_int_equal(take(0), -1);
	assert_int_equal(dropped(), 1);
}

/* ---- capture files ---- */

struct capture_file {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, longest, link;
};

struct capture {
	uint32_t s, us, kept, len;
};

#define CAPTURE_FILE                                            \
	{                                                       \
		0xa1b2c3d4, 2, 4, 0, 0, 65535, 1 /* Ethernet */ \
	}

static void path_of(char path[256], const char *name)
{
	snprintf(path, 256, "%s/%s", folder, name);
}

static void received_frames_come_from_a_file(void **state)
{
	const struct capture_file head = CAPTURE_FILE;
	char path[256], devargs[300];
	FILE *f;

	(void)state;
	path_of(path, "rx.pcap");
	f = fopen(path, "wb");
	assert_non_null(f);
	fwrite(&head, sizeof(head), 1, f);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t len = i == 100 ? 9000 : 60 + i; /* one is longer than an mbuf */
		struct capture c = {i, 0, len, len};

		frame_fill(out, len, i);
		fwrite(&c, sizeof(c), 1, f);
		fwrite(out, len, 1, f);
	}
	assert_int_equal(fclose(f), 0);
	snprintf(devargs, sizeof(devargs), "net_pcap0,rx_pcap=%s", path);
	open_port(devargs, 1, 0);
	for (uint32_t i = 0; i < 200; i++)
		take_plain(0, i == 100 ? 9000 : 60 + i, i);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(take(0), -1);
	assert_int_equal(unlink(path), 0);
}

static void sent_frames_go_to_a_file(void **state)
{
	struct capture_file head;
	char path[256], devargs[300];
	struct capture c;
	FILE *f;

	(void)state;
	path_of(path, "tx.pcap");
	snprintf(devargs, sizeof(devargs), "net_pcap0,tx_pcap=%s", path);
	open_port(devargs, 2, 0);
	assert_int_equal(b->queues, 1); /* it has one, and says so */
	for (uint32_t i = 0; i < 500; i++)
		assert_true(send_plain(0, 14 + i, i));
	close_port(NULL);
	f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(fread(&head, sizeof(head), 1, f), 1);
	assert_int_equal(head.link, 1);
	for (uint32_t i = 0; i < 500; i++) {
		assert_int_equal(fread(&c, sizeof(c), 1, f), 1);
		assert_int_equal(c.len, 14 + i);
		assert_int_equal(fread(in, 1, c.kept, f), 14 + i);
		frame_fill(out, 14 + i, i);
		assert_memory_equal(in, out, 14 + i);
	}
	assert_int_equal(fread(&c, 1, 1, f), 0);
	fclose(f);
	assert_int_equal(unlink(path), 0);
}

/* ---- a port that takes and gives for ever ---- */

static void nothing_takes_all_and_gives_more(void **state)
{
	(void)state;
	open_port("net_null0,size=64", 2, 0);
	for (uint32_t i = 0; i < 10000; i++)
		assert_true(send_plain(i % 2, 60 + i % 1000, i));
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(take(i % 2), 64);
	assert_int_equal(dropped(), 0);
}

/* ---- a tap, which has offloads ---- */

static int packets;

static void open_tap(unsigned queues, unsigned mtu)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	const struct timeval patience = {.tv_sec = 20};

	if (no_namespace)
		skip();
	open_port("net_tap0,iface=" TAP, queues, mtu);
	packets = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	assert_true(packets >= 0);
	at.sll_ifindex = (int)if_nametoindex(TAP);
	assert_true(at.sll_ifindex > 0);
	assert_int_equal(bind(packets, (struct sockaddr *)(void *)&at, sizeof(at)), 0);
	setsockopt(packets, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static int close_tap(void **state)
{
	if (packets > 0)
		close(packets);
	packets = 0;
	close_port(state);
	return if_nametoindex(TAP) != 0; /* it was ours, so it is gone */
}

/* The next frame that came from the guest and is ours; others are the kernel's. */
static uint32_t receive(void)
{
	struct sockaddr_ll from = {0};
	ssize_t n;

	do {
		socklen_t len = sizeof(from);

		n = recvfrom(packets, in, sizeof(in), 0, (struct sockaddr *)(void *)&from, &len);
		assert_true(n > 0);
	} while (from.sll_pkttype == PACKET_OUTGOING || n < 42 || in[6] != FRAME_FROM);
	return (uint32_t)n;
}

static void a_tap_fills_in_checksums(void **state)
{
	(void)state;
	open_tap(1, 0);
	assert_int_equal(b->features, HOST(CSUM) | HOST(HOST_TSO4) | HOST(HOST_TSO6) | GUEST(CSUM));
	for (uint32_t payload = 1; payload < 1400; payload = payload * 2 + 1) {
		struct virtio_net_hdr_v1 hdr;
		uint32_t len = frame_udp(out, payload, &hdr);

		assert_true(send_as(0, len, &hdr));
		assert_int_equal(receive(), len);
		assert_true(frame_sums_up(in, len));
		assert_memory_equal(&in[42], &out[42], payload);
	}
	assert_int_equal(dropped(), 0);
}

static void a_tap_gets_segments(void **state)
{
	struct virtio_net_hdr_v1 hdr;
	uint32_t len, at = 0;

	(void)state;
	open_tap(1, 0);
	len = frame_tcp(out, 10500, 1000, &hdr);
	assert_true(send_as(0, len, &hdr));
	for (unsigned i = 0; i < 11; i++) {
		uint32_t payload = i < 10 ? 1000 : 500;

		assert_int_equal(receive(), FRAME_TCP_HEADERS + payload);
		assert_true(frame_sums_up(in, FRAME_TCP_HEADERS + payload));
		assert_int_equal(frame_tcp_seq(in), at);
		assert_memory_equal(&in[FRAME_TCP_HEADERS], &out[FRAME_TCP_HEADERS + at], payload);
		at += payload;
	}
	assert_int_equal(dropped(), 0);
}

/* A frame that is to be cut and is not what its header says cannot be sent. */
static void segments_of_nothing_are_dropped(void **state)
{
	struct virtio_net_hdr_v1 good, hdr;
	uint32_t len;

	(void)state;
	open_tap(1, 0);
	len = frame_tcp(out, 5000, 1000, &good);
	hdr = good;
	hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV6; /* it is IPv4 */
	assert_true(send_as(0, len, &hdr));
	hdr = good;
	hdr.csum_start += 2;
	assert_true(send_as(0, len, &hdr));
	out[46] = 0x10; /* a TCP header of four bytes */
	assert_true(send_as(0, len, &good));
	out[46] = 0xf0; /* or of 60, which ends beyond */
	assert_true(send_as(0, 54, &good));
	len = frame_tcp(out, 5000, 1000, &good);
	out[23] = 17; /* UDP */
	assert_true(send_as(0, len, &good));
	out[12] = 0x12; /* nor IP */
	assert_true(send_as(0, len, &good));
	assert_int_equal(dropped(), 6);
}

static void wait_for_link(uint32_t down)
{
	for (unsigned i = 0; i < 2000 && sx_load_relaxed(&b->down) != down; i++) {
		take(0); /* it looks now and then */
		usleep(10000);
	}
	assert_int_equal(sx_load_relaxed(&b->down), down);
}

static void set_up(bool up)
{
	struct ifreq ifr = {.ifr_name = TAP};
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(sock, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	assert_int_equal(ioctl(sock, SIOCSIFFLAGS, &ifr), 0);
	close(sock);
}

static void the_link_goes_down_and_up(void **state)
{
	(void)state;
	open_tap(1, 0);
	wait_for_link(0);
	set_up(false);
	wait_for_link(1);
	set_up(true);
	wait_for_link(0);
}

static void a_tap_has_the_mtu(void **state)
{
	struct ifreq ifr = {.ifr_name = TAP};

	(void)state;
	open_tap(2, 1400);
	assert_int_equal(b->queues, 2);
	assert_int_equal(b->mtu, 1400);
	assert_int_equal(ioctl(packets, SIOCGIFMTU, &ifr), 0);
	assert_int_equal(ifr.ifr_mtu, 1400);
	close_port(NULL);
	refuse("port=net_tap0,iface=" TAP, 2, 9000, -EINVAL, "and 1504 at most");
}

/* ---- the end of a port ---- */

/* Have DPDK say what it says when a device is pulled out. */
static void pull_out(const char *name)
{
	void *plugin = dlopen(SX_BUILD_DIR "/lib/splitx-dpdk.so", RTLD_NOW | RTLD_NOLOAD);
	void *(*find)(const char *) = NULL;
	int (*tell)(void *, int, void *) = NULL;
	void *symbol;

	assert_non_null(plugin);
	symbol = dlsym(plugin, "rte_eth_dev_allocated");
	memcpy(&find, &symbol, sizeof(find));
	symbol = dlsym(plugin, "rte_eth_dev_callback_process");
	memcpy(&tell, &symbol, sizeof(tell));
	assert_non_null(find);
	assert_non_null(tell);
	tell(find(name), 6 /* RTE_ETH_EVENT_INTR_RMV */, NULL);
	dlclose(plugin);
}

static void a_port_goes_away(void **state)
{
	(void)state;
	open_port("net_ring0", 1, 0);
	assert_true(send_plain(0, 100, 1));
	assert_int_equal(sx_load_relaxed(&b->gone), 0);
	pull_out("net_ring0");
	assert_int_equal(sx_load_relaxed(&b->gone), 1);
	assert_int_equal(take(0), -1);
	assert_true(send_plain(0, 100, 2));
	assert_int_equal(dropped(), 1);
}

static void a_port_can_be_had_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		open_port("net_ring0", 1 + i, 0);
		assert_int_equal(b->queues, 1 + i);
		assert_true(send_plain(i, 100, i));
		close_port(NULL);
	}
}

/* ---- what cannot be, and what is not to be seen ---- */

static void what_cannot_be_opened_is_explained(void **state)
{
	(void)state;
	open_port("net_ring0", 1, 0); /* or it is skipped */
	refuse("port=net_ring0", 1, 0, -EBUSY, "in use already");
	refuse("port=net_ring0,nodeaction=x", 1, 0, -EBUSY, "in use already");
	refuse("port=", 1, 0, -EINVAL, "names no DPDK port");
	refuse("port=net_nothing0", 1, 0, -ENODEV, "'net_nothing0' cannot be opened");
	refuse("port=ffff:ff:1f.6", 1, 0, -ENODEV, "Cannot find device");
	refuse("port=net_pcap0,rx_pcap=/nowhere/x", 1, 0, -ENODEV, "No such file");
	refuse("port=net_ring1,nodeaction=x:y", 1, 0, -ENODEV, "cannot be opened");
	refuse("port=net_ring1", 0, 0, -EINVAL, "1 to 64 queues");
	refuse("port=net_ring1", 65, 0, -EINVAL, "1 to 64 queues");
	refuse("port=net_null1", 1, 67, -EINVAL, "MTU");
	refuse("port=net_null1", 1, 20000, -EINVAL, "is 16362 at most");
	/* None of it is left. */
	close_port(NULL);
	open_port("net_ring1", 1, 0);
	close_port(NULL);
	open_port("net_null1", 1, 0);
}

static void it_leaves_no_trace(void **state)
{
	const char *const places[] = {"/var/run/dpdk", getenv("XDG_RUNTIME_DIR"), "/tmp/dpdk"};
	int quiet = memfd_create("stderr", MFD_CLOEXEC), stderr_fd = dup(2);
	cpu_set_t before, after;
	struct sx_error err = {""};
	struct sx_net_backend *none = NULL;
	struct stat s;
	char path[300];

	(void)state;
	sched_getaffinity(0, sizeof(before), &before);
	fflush(stderr);
	dup2(quiet, 2);
	sx_net_open(&none, "port=net_nothing0", 1, 0, &err);
	sx_net_open(&b, "port=net_ring0", 1, 0, &err);
	close_port(NULL);
	fflush(stderr);
	dup2(stderr_fd, 2);
	close(stderr_fd);
	assert_int_equal(fstat(quiet, &s), 0);
	assert_int_equal(s.st_size, 0);
	close(quiet);
	sched_getaffinity(0, sizeof(after), &after);
	assert_true(CPU_EQUAL(&before, &after));
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/splitx-%d", places[i] ? places[i] : "/nowhere",
			 (int)getpid());
		assert_int_equal(access(path, F_OK), -1);
	}
}

#define CASE(F)     cmocka_unit_test_teardown(F, close_port)
#define CASE_TAP(F) cmocka_unit_test_teardown(F, close_tap)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(it_leaves_no_trace),
		CASE(frames_of_all_lengths_come_back),
		CASE(long_frames_come_back),
		CASE(a_frame_that_is_too_long_is_dropped),
		CASE(a_full_port_takes_no_more),
		CASE(frames_stay_until_released),
		CASE(queues_are_apart),
		CASE(unused_queues_go_to_the_first),
		CASE(checksums_are_filled_in),
		CASE(a_checksum_out_of_reach_is_dropped),
		CASE(received_frames_come_from_a_file),
		CASE(sent_frames_go_to_a_file),
		CASE(nothing_takes_all_and_gives_more),
		CASE_TAP(a_tap_fills_in_checksums),
		CASE_TAP(a_tap_gets_segments),
		CASE_TAP(segments_of_nothing_are_dropped),
		CASE_TAP(the_link_goes_down_and_up),
		CASE_TAP(a_tap_has_the_mtu),
		CASE(a_port_goes_away),
		CASE(a_port_can_be_had_again),
		CASE(what_cannot_be_opened_is_explained),
	};

	return cmocka_run_group_tests(tests, enter_world, leave_world);
}
