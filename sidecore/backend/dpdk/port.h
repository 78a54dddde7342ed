// SPDX-License-Identifier: BSD-3-Clause
/*
 * Between the files of the plug-in for DPDK ports. A frame is copied between guest memory and
 * mbufs: a port may keep an mbuf for as long as it likes, and guest memory may go.
 */
#ifndef SX_SIDECORE_BACKEND_DPDK_PORT_H
#define SX_SIDECORE_BACKEND_DPDK_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "ipc/wire/types.h"
#include "sidecore/backend/net.h"

#define SX_PORT_BURST   64u
#define SX_PORT_IOVECS  (SX_NET_MAX_SEGS + SX_PORT_BURST)
#define SX_PORT_LINK_MS 100u /* how often a port is asked for its link; some tell by themselves */

/* All of it but `busy` belongs to the queue's thread. */
struct sx_port_queue {
	uint32_t busy;         /* 1: a thread receives here; see receive_burst() */
	unsigned first, count; /* of `held`: not released yet */
	uint64_t link_at;      /* TSC: ask for the link again; the first queue's */
	struct rte_mbuf *held[SX_PORT_BURST];
	struct iovec iov[SX_PORT_IOVECS]; /* of frames in several pieces that were shown */
} __attribute__((aligned(SX_CACHE_LINE)));

struct sx_port {
	struct sx_net_backend b;
	uint16_t id;    /* DPDK's */
	uint16_t table; /* entries of its table that spreads frames over queues; 0: none */
	bool started;
	uint32_t room;       /* bytes of a frame that one mbuf holds */
	uint64_t tx;         /* RTE_ETH_TX_OFFLOAD_* that are switched on */
	uint32_t active;     /* queues that the guest uses; atomic */
	uint64_t link_pause; /* SX_PORT_LINK_MS in TSC cycles */
	struct rte_mempool *pool;
	struct sx_port_queue *queue;
};

static inline struct sx_port *sx_port_of(struct sx_net_backend *b)
{
	return (struct sx_port *)(void *)b;
}

/* eal.c: start DPDK for a port like @devargs, unless it has been. */
int sx_eal_start(const char *devargs, struct sx_error *err);
/* The first error that DPDK has told this thread since sx_eal_listen(), or "". */
const char *sx_eal_words(void);
void sx_eal_listen(void);

/* rx.c, tx.c: as the operations of a back end with these names. */
unsigned sx_port_send(struct sx_net_backend *b, unsigned queue, const struct sx_net_frame *frame,
		      unsigned count);
unsigned sx_port_peek(struct sx_net_backend *b, unsigned queue, struct sx_net_frame *frame,
		      unsigned max);
void sx_port_release(struct sx_net_backend *b, unsigned queue, unsigned count);
/* Give back what is held. No thread uses the port any more. */
void sx_port_forget(struct sx_port *p);

/*
 * offload.c: have the port do to @m what @hdr says is still to be done, or do it here. False when
 * the frame is not what its header says.
 */
bool sx_port_offload(const struct sx_port *p, struct rte_mbuf *m,
		     const struct virtio_net_hdr_v1 *hdr);

/* Look whether the port has a link. Any thread. */
void sx_port_look_at_link(struct sx_port *p);

#endif
