/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * A cell is one cache line that carries one message, and, in place, its reply.
 *
 * The turn word says who may touch the other 60 bytes. Message number n (counted modulo 2^31
 * from 0) lives in cell n mod size of its ring:
 *
 *     turn == sx_turn_request(n)   the consumer owns the cell; a request or post is in it
 *     turn == sx_turn_reply(n)     the producer owns the cell; the reply to n is in it
 *
 * The side that owns the cell is the only one that writes it, the turn word last.
 */
#ifndef SX_WIRE_CELL_H
#define SX_WIRE_CELL_H

#include "ipc/wire/types.h"

#define SX_CELL_WORDS 7

struct sx_cell {
	uint32_t turn;
	uint16_t op;  /* what is asked; in a reply the producer may ignore it */
	uint16_t arg; /* small operand of the request; status of the reply */
	uint64_t w[SX_CELL_WORDS];
} __attribute__((aligned(SX_CACHE_LINE)));

_Static_assert(sizeof(struct sx_cell) == SX_CACHE_LINE, "a cell is one cache line");
_Static_assert(__builtin_offsetof(struct sx_cell, w) == 8, "cell layout is wire format");

static inline uint32_t sx_turn_request(uint32_t n)
{
	return 2 * n + 1;
}

static inline uint32_t sx_turn_reply(uint32_t n)
{
	return 2 * n + 2;
}

/*
 * Copy everything but the turn word, each word read exactly once: the other side may be hostile
 * and write while we read. The caller checks and uses the copy only.
 */
static inline void sx_cell_snapshot(struct sx_cell *to, const struct sx_cell *from)
{
	uint64_t head = sx_load_relaxed((const uint64_t *)(const void *)from);

	/* Little endian: turn in the low half, op and arg above it. */
	to->turn = (uint32_t)head;
	to->op = (uint16_t)(head >> 32);
	to->arg = (uint16_t)(head >> 48);
	for (int i = 0; i < SX_CELL_WORDS; i++)
		to->w[i] = sx_load_relaxed(&from->w[i]);
}

#endif
