// SPDX-License-Identifier: BSD-3-Clause
/*
 * The header before each frame (virtio 1.2, 5.1.6).
 */
#include "sidecore/virtio/net_internal.h"

#define TCP_HEADER     20u
#define TCP_CHECKSUM   16u
#define UDP_HEADER     8u
#define UDP_CHECKSUM   6u
#define CHECKSUM_BYTES 2u

static bool has(uint64_t features, unsigned bit)
{
	return features & SX_NET_BIT(bit);
}

/* A segmentation: which feature has to be negotiated for it, and where its transport ends. */
struct gso {
	unsigned host, guest;
	unsigned header;
	unsigned checksum;
};

static bool find_gso(uint8_t type, struct gso *gso)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		*gso = (struct gso){VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4, TCP_HEADER,
				    TCP_CHECKSUM};
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		*gso = (struct gso){VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_GUEST_TSO6, TCP_HEADER,
				    TCP_CHECKSUM};
		return true;
	case VIRTIO_NET_HDR_GSO_UDP:
		*gso = (struct gso){VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_GUEST_UFO, UDP_HEADER,
				    UDP_CHECKSUM};
		return true;
	default:
		return false;
	}
}

/* 5.1.6.2.1: a checksum to be filled in, and a length for each segment. */
static bool check_gso(const struct virtio_net_hdr_v1 *hdr, uint32_t len, uint64_t features)
{
	bool ecn = hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN;
	struct gso gso;

	if (!find_gso(hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN, &gso) ||
	    !has(features, gso.host))
		return false;
	if (ecn && (gso.header != TCP_HEADER || !has(features, VIRTIO_NET_F_HOST_ECN)))
		return false;
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || hdr->csum_offset != gso.checksum)
		return false;
	if (!hdr->gso_size || hdr->csum_start + gso.header > len)
		return false;
	/* A hint (5.1.6.2.2), but one that lies is no honest driver's. */
	return hdr->hdr_len <= len;
}

bool sx_net_header_check(struct virtio_net_hdr_v1 *hdr, uint32_t len, uint64_t features)
{
	hdr->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM; /* others are to be ignored */
	hdr->num_buffers = 0;
	if (hdr->flags) {
		if (!has(features, VIRTIO_NET_F_CSUM) || hdr->csum_start < SX_NET_MIN_FRAME ||
		    (uint32_t)hdr->csum_start + hdr->csum_offset + CHECKSUM_BYTES > len)
			return false;
	} else {
		hdr->csum_start = hdr->csum_offset = 0;
	}
	if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return check_gso(hdr, len, features);
	hdr->hdr_len = hdr->gso_size = 0;
	return true;
}

bool sx_net_header_allowed(struct virtio_net_hdr_v1 *hdr, uint64_t offloads)
{
	struct gso gso;

	if (!has(offloads, VIRTIO_NET_F_GUEST_CSUM)) {
		if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			return false;
		hdr->flags = 0; /* "already checked" is not to be said then (5.1.6.4.1) */
	}
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	if ((hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN) && !has(offloads, VIRTIO_NET_F_GUEST_ECN))
		return false;
	return find_gso(hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN, &gso) &&
	       has(offloads, gso.guest);
}

/* @feature is there only with one of @needed. */
static bool depends(uint64_t features, unsigned feature, uint64_t needed)
{
	return !has(features, feature) || (features & needed);
}

bool sx_net_offloads_ok(uint64_t features)
{
	const uint64_t csum = SX_NET_BIT(VIRTIO_NET_F_CSUM);
	const uint64_t guest_csum = SX_NET_BIT(VIRTIO_NET_F_GUEST_CSUM);

	return depends(features, VIRTIO_NET_F_HOST_TSO4, csum) &&
	       depends(features, VIRTIO_NET_F_HOST_TSO6, csum) &&
	       depends(features, VIRTIO_NET_F_HOST_UFO, csum) &&
	       depends(features, VIRTIO_NET_F_HOST_ECN,
		       SX_NET_BIT(VIRTIO_NET_F_HOST_TSO4) | SX_NET_BIT(VIRTIO_NET_F_HOST_TSO6)) &&
	       depends(features, VIRTIO_NET_F_GUEST_TSO4, guest_csum) &&
	       depends(features, VIRTIO_NET_F_GUEST_TSO6, guest_csum) &&
	       depends(features, VIRTIO_NET_F_GUEST_UFO, guest_csum) &&
	       depends(features, VIRTIO_NET_F_GUEST_ECN,
		       SX_NET_BIT(VIRTIO_NET_F_GUEST_TSO4) | SX_NET_BIT(VIRTIO_NET_F_GUEST_TSO6));
}
