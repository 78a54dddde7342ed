// SPDX-License-Identifier: BSD-3-Clause
/*
 * Frames for tests of back ends: bytes that tell where they belong, and packets of UDP and TCP
 * whose checksum is still to be filled in.
 */
#ifndef SX_TESTS_UNIT_TEST_NET_FRAMES_H
#define SX_TESTS_UNIT_TEST_NET_FRAMES_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FRAME_FROM        0x02 /* the first byte of their sender's address */
#define FRAME_IP          14u
#define FRAME_L4          34u
#define FRAME_TCP_HEADERS 54u

static inline void frame_fill(uint8_t *f, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		f[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static inline void frame_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* The internet checksum's sum, not negated (RFC 1071). */
static inline uint32_t frame_sum(const uint8_t *bytes, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* That of the pseudo header of @f, an IPv4 packet. */
static inline uint32_t frame_pseudo(const uint8_t *f)
{
	uint32_t ip_len = (uint32_t)f[FRAME_IP + 2] << 8 | f[FRAME_IP + 3];

	return frame_sum(&f[FRAME_IP + 12], 8, f[FRAME_IP + 9] + ip_len - 20);
}

/* An IPv4 packet of @protocol with @l4 bytes behind its header. */
static inline void frame_ip(uint8_t *f, uint8_t protocol, uint32_t l4)
{
	static const uint8_t head[FRAME_L4] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, FRAME_FROM, 0,
					       0,    0,    0,    1,    0x08, 0x00, 0x45,       0,
					       0,    0,    0,    0,    0x40, 0,    64};

	memcpy(f, head, sizeof(head));
	frame_put16(&f[FRAME_IP + 2], 20 + l4);
	f[FRAME_IP + 9] = protocol;
	memcpy(&f[FRAME_IP + 12], (uint8_t[]){10, 1, 0, 2, 10, 1, 0, 1}, 8);
	frame_put16(&f[FRAME_IP + 10], (uint16_t)~frame_sum(&f[FRAME_IP], 20, 0));
}

static inline uint32_t frame_udp(uint8_t *f, uint32_t payload, struct virtio_net_hdr_v1 *hdr)
{
	frame_fill(&f[FRAME_L4], 8 + payload, payload);
	frame_ip(f, 17, 8 + payload);
	frame_put16(&f[FRAME_L4 + 4], 8 + payload);
	frame_put16(&f[FRAME_L4 + 6], frame_pseudo(f));
	*hdr = (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = FRAME_L4, .csum_offset = 6};
	return FRAME_L4 + 8 + payload;
}

/* To be cut into segments of @mss bytes. */
static inline uint32_t frame_tcp(uint8_t *f, uint32_t payload, uint16_t mss,
				 struct virtio_net_hdr_v1 *hdr)
{
	frame_fill(&f[FRAME_L4], 20 + payload, payload);
	frame_ip(f, 6, 20 + payload);
	memset(&f[FRAME_L4 + 4], 0, 8); /* both sequence numbers */
	f[FRAME_L4 + 12] = 0x50;
	f[FRAME_L4 + 13] = 0x10; /* ACK */
	frame_put16(&f[FRAME_L4 + 18], 0);
	frame_put16(&f[FRAME_L4 + 16], frame_pseudo(f));
	*hdr = (struct virtio_net_hdr_v1){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					  .gso_size = mss,
					  .hdr_len = FRAME_TCP_HEADERS,
					  .csum_start = FRAME_L4,
					  .csum_offset = 16};
	return FRAME_TCP_HEADERS + payload;
}

static inline uint32_t frame_tcp_seq(const uint8_t *f)
{
	const uint8_t *s = &f[FRAME_L4 + 4];

	return (uint32_t)s[0] << 24 | (uint32_t)s[1] << 16 | (uint32_t)s[2] << 8 | s[3];
}

/* Are the checksums of @f right, that of IPv4 and the one behind it? */
static inline bool frame_sums_up(const uint8_t *f, uint32_t len)
{
	return frame_sum(&f[FRAME_IP], 20, 0) == 0xffff &&
	       frame_sum(&f[FRAME_L4], len - FRAME_L4, frame_pseudo(f)) == 0xffff;
}

#endif
