// SPDX-License-Identifier: BSD-3-Clause
/*
 * What is left to be done to a frame: virtio says where a checksum lies (virtio 1.2, 5.1.6.2), DPDK
 * wants to know what kind of packet it is (DPDK Programmer's Guide, "Mbuf Library"). The frame has
 * been copied, so the guest cannot change it any more.
 */
#include <netinet/in.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "sidecore/backend/dpdk/port.h"

#define UDP_CHECKSUM 6u
#define TCP_CHECKSUM 16u

/* The headers of a frame, all of them in its first mbuf. */
struct layout {
	unsigned l2, l3;
	bool v6;
	uint8_t protocol;
};

static bool read_ip(const struct rte_mbuf *m, struct layout *l)
{
	const uint32_t len = rte_pktmbuf_data_len(m);

	if (!l->v6) {
		const struct rte_ipv4_hdr *ip =
			rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, l->l2);

		if (l->l2 + sizeof(*ip) > len)
			return false;
		l->l3 = rte_ipv4_hdr_len(ip);
		l->protocol = ip->next_proto_id;
		return l->l3 >= sizeof(*ip) && l->l2 + l->l3 <= len;
	}
	l->l3 = sizeof(struct rte_ipv6_hdr);
	if (l->l2 + l->l3 > len)
		return false;
	/* With extension headers it is none of those that a port knows. */
	l->protocol = rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, l->l2)->proto;
	return true;
}

/* False when it is no IP packet after at most one VLAN tag. */
static bool read_layout(const struct rte_mbuf *m, struct layout *l)
{
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	rte_be16_t type = ether->ether_type; /* a frame has this much */

	l->l2 = sizeof(*ether);
	if (type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		if (rte_pktmbuf_data_len(m) < l->l2 + sizeof(struct rte_vlan_hdr))
			return false;
		type = rte_pktmbuf_mtod_offset(m, const struct rte_vlan_hdr *, l->l2)->eth_proto;
		l->l2 += sizeof(struct rte_vlan_hdr);
	}
	l->v6 = type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
	return (l->v6 || type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) && read_ip(m, l);
}

static void set_lengths(struct rte_mbuf *m, const struct layout *l)
{
	m->l2_len = l->l2;
	m->l3_len = l->l3;
	m->ol_flags |= l->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
}

/* Can the port fill in this checksum? */
static bool port_sums(const struct sx_port *p, const struct layout *l, unsigned offset)
{
	return (l->protocol == IPPROTO_TCP && offset == TCP_CHECKSUM &&
		(p->tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM)) ||
	       (l->protocol == IPPROTO_UDP && offset == UDP_CHECKSUM &&
		(p->tx & RTE_ETH_TX_OFFLOAD_UDP_CKSUM));
}

/*
 * The sum of all from @start on. DPDK 22.11's rte_raw_cksum_mbuf() loses a carry where an mbuf ends
 * at an odd place.
 */
static uint16_t sum_from(const struct rte_mbuf *m, uint32_t start)
{
	uint32_t sum = 0, done = 0;

	for (; m; m = m->next) {
		uint32_t len = rte_pktmbuf_data_len(m);
		uint16_t part;

		if (start >= len) {
			start -= len;
			continue;
		}
		part = rte_raw_cksum(rte_pktmbuf_mtod_offset(m, const void *, start), len - start);
		sum += done % 2 ? rte_bswap16(part) : part;
		done += len - start;
		start = 0;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* The checksum of all from csum_start on; the sum of its pseudo header lies where it goes. */
static bool sum_here(struct rte_mbuf *m, const struct virtio_net_hdr_v1 *hdr)
{
	const uint32_t at = (uint32_t)hdr->csum_start + hdr->csum_offset;
	uint16_t sum;

	if (at + sizeof(sum) > rte_pktmbuf_data_len(m))
		return false;
	sum = (uint16_t)~sum_from(m, hdr->csum_start);
	if (!sum)
		sum = 0xffff; /* 0 stands for "no checksum" in UDP (RFC 768) */
	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, at), &sum, sizeof(sum));
	return true;
}

/* DPDK wants a pseudo header without a length, and no checksum in IPv4's header. */
static void start_sums(struct rte_mbuf *m, const struct layout *l, struct rte_tcp_hdr *tcp)
{
	if (l->v6) {
		tcp->cksum = rte_ipv6_phdr_cksum(
			rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, l->l2), m->ol_flags);
	} else {
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, l->l2);

		ip->hdr_checksum = 0;
		m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
		tcp->cksum = rte_ipv4_phdr_cksum(ip, m->ol_flags);
	}
}

static bool segment(struct rte_mbuf *m, const struct virtio_net_hdr_v1 *hdr, const struct layout *l)
{
	const uint8_t wanted = l->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, hdr->csum_start);
	unsigned tcp_len;

	if (hdr->gso_type != wanted || l->protocol != IPPROTO_TCP ||
	    hdr->csum_start != l->l2 + l->l3 ||
	    hdr->csum_start + sizeof(*tcp) > rte_pktmbuf_data_len(m))
		return false;
	tcp_len = (tcp->data_off >> 4) * 4u;
	if (tcp_len < sizeof(*tcp) || hdr->csum_start + tcp_len > rte_pktmbuf_data_len(m))
		return false;
	set_lengths(m, l);
	m->l4_len = tcp_len;
	m->tso_segsz = hdr->gso_size;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
	start_sums(m, l, tcp);
	return true;
}

bool sx_port_offload(const struct sx_port *p, struct rte_mbuf *m,
		     const struct virtio_net_hdr_v1 *hdr)
{
	struct layout l;
	bool known;

	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return true;
	known = read_layout(m, &l);
	if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return known && segment(m, hdr, &l);
	if (!known || hdr->csum_start != l.l2 + l.l3 || !port_sums(p, &l, hdr->csum_offset))
		return sum_here(m, hdr);
	set_lengths(m, &l);
	m->ol_flags |=
		l.protocol == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	return true;
}
