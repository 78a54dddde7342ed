// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: what DPDK ports are told of a guest's frame (sidecore/backend/dpdk/offload.c). The input is
 * a header as virtio has it, what the driver negotiated, where the frame is cut into two mbufs, and
 * the frame. Nothing beyond the frame is touched, and in it nothing but checksums is changed.
 */
#include <string.h>

#include "sidecore/backend/dpdk/port.h"
#include "sidecore/virtio/net_internal.h"
#include "tests/support/fuzz_input.h"

#define IPV4_SUM 10u /* in IPv4's header */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* A frame in one or two mbufs, each with memory of its very size. */
struct frame {
	struct rte_mbuf m[2];
	uint8_t *part[2];
	uint32_t len, cut;
};

static void make_mbuf(struct frame *f, unsigned i, const uint8_t *bytes, uint32_t len)
{
	struct rte_mbuf *m = &f->m[i];

	f->part[i] = malloc(len);
	fuzz_require(f->part[i] != NULL);
	memcpy(f->part[i], bytes, len);
	memset(m, 0, sizeof(*m));
	m->buf_addr = f->part[i];
	m->data_len = (uint16_t)len;
	m->nb_segs = 1;
}

static void make_frame(struct frame *f, const uint8_t *bytes, uint32_t len, uint32_t cut)
{
	f->len = len;
	f->cut = cut < SX_NET_MIN_FRAME || cut > len ? len : cut;
	f->part[1] = NULL;
	make_mbuf(f, 0, bytes, f->cut);
	f->m[0].pkt_len = len;
	if (f->cut == len)
		return;
	make_mbuf(f, 1, bytes + f->cut, len - f->cut);
	f->m[0].next = &f->m[1];
	f->m[0].nb_segs = 2;
}

static void join(struct frame *f, uint8_t *bytes)
{
	memcpy(bytes, f->part[0], f->cut);
	if (f->part[1])
		memcpy(bytes + f->cut, f->part[1], f->len - f->cut);
	free(f->part[0]);
	free(f->part[1]);
}

static uint32_t sum(const uint8_t *bytes, uint32_t len, uint32_t start)
{
	uint32_t s = start;

	for (uint32_t i = 0; i < len; i++)
		s += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* All of @after is as in @before but for the checksums that may have been set. */
static void check_bytes(const struct frame *f, const struct virtio_net_hdr_v1 *hdr, uint8_t *before,
			const uint8_t *after)
{
	const uint32_t at = (uint32_t)hdr->csum_start + hdr->csum_offset;

	if (hdr->flags)
		memcpy(&before[at], &after[at], 2);
	if (f->m[0].ol_flags & RTE_MBUF_F_TX_IP_CKSUM)
		memcpy(&before[f->m[0].l2_len + IPV4_SUM], (uint8_t[2]){0}, 2);
	fuzz_require(memcmp(before, after, f->len) == 0);
}

static void check_flags(const struct frame *f, const struct virtio_net_hdr_v1 *hdr)
{
	const struct rte_mbuf *m = &f->m[0];

	fuzz_require(!m->ol_flags || m->l2_len + m->l3_len == hdr->csum_start);
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		fuzz_require(!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG));
		return;
	}
	fuzz_require(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
	fuzz_require(m->l4_len >= 20 && m->l2_len + m->l3_len + m->l4_len <= f->cut);
	fuzz_require(m->tso_segsz == hdr->gso_size);
}

static void check(struct frame *f, const struct virtio_net_hdr_v1 *hdr, bool good, uint8_t *before)
{
	const uint32_t at = (uint32_t)hdr->csum_start + hdr->csum_offset;
	uint8_t after[SX_NET_MAX_FRAME];
	uint32_t pseudo = 0;

	join(f, after);
	if (!good)
		return;
	if (hdr->flags)
		pseudo = (uint32_t)before[at] << 8 | before[at + 1];
	check_bytes(f, hdr, before, after);
	check_flags(f, hdr);
	/* A checksum at an odd place is of no use to anyone. */
	if (hdr->flags && !f->m[0].ol_flags && hdr->csum_offset % 2 == 0)
		fuzz_require(sum(&after[hdr->csum_start], f->len - hdr->csum_start, pseudo) ==
			     0xffff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	const uint64_t both = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	struct fuzz_input in = {data, length};
	struct virtio_net_hdr_v1 hdr = {0};
	uint8_t before[SX_NET_MAX_FRAME];
	struct sx_port p = {0};
	struct frame f;
	uint32_t cut;

	hdr.flags = (uint8_t)fuzz_take(&in, 1);
	hdr.gso_type = (uint8_t)fuzz_take(&in, 1);
	hdr.gso_size = (uint16_t)fuzz_take(&in, 2);
	hdr.csum_start = (uint16_t)fuzz_take(&in, 2);
	hdr.csum_offset = (uint16_t)fuzz_take(&in, 2);
	p.tx = fuzz_take(&in, 1) & 1 ? both : 0;
	cut = (uint32_t)fuzz_take(&in, 2);
	if (in.left < SX_NET_MIN_FRAME || in.left > SX_NET_MAX_FRAME ||
	    !sx_net_header_check(&hdr, (uint32_t)in.left, SX_NET_HOST_OFFLOADS))
		return 0;
	memcpy(before, in.at, in.left);
	make_frame(&f, before, (uint32_t)in.left, cut);
	check(&f, &hdr, sx_port_offload(&p, &f.m[0], &hdr), before);
	return 0;
}
