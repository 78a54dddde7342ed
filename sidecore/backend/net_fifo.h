// SPDX-License-Identifier: BSD-3-Clause
/*
 * Frames in memory, in the order they came: one producer, one consumer, no lock. Frames of any
 * length lie one after the other, each in one piece.
 */
#ifndef SX_SIDECORE_BACKEND_NET_FIFO_H
#define SX_SIDECORE_BACKEND_NET_FIFO_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/wire/types.h"
#include "sidecore/backend/net.h"

struct sx_net_fifo {
	uint8_t *base;
	uint64_t size; /* bytes, a power of two */
	/* Positions count up for ever. The producer's own: */
	uint64_t in __attribute__((aligned(SX_CACHE_LINE)));
	uint64_t out_seen;
	/* and the consumer's: */
	uint64_t out __attribute__((aligned(SX_CACHE_LINE)));
	uint64_t in_seen;
	uint64_t in_shown __attribute__((aligned(SX_CACHE_LINE)));
	uint64_t out_shown __attribute__((aligned(SX_CACHE_LINE)));
};

/* @size: a power of two, at least 256 KiB, so that a frame of any length fits in. */
int sx_net_fifo_init(struct sx_net_fifo *f, uint64_t size);
void sx_net_fifo_destroy(struct sx_net_fifo *f);

/* Producer: copy a frame in; false when there is no room. The consumer sees it when shown. */
bool sx_net_fifo_push(struct sx_net_fifo *f, const struct sx_net_frame *frame);
void sx_net_fifo_show(struct sx_net_fifo *f);

/* Consumer: as the operations of a back end with these names. */
unsigned sx_net_fifo_peek(struct sx_net_fifo *f, struct sx_net_frame *frame, unsigned max);
void sx_net_fifo_release(struct sx_net_fifo *f, unsigned count);

#endif
