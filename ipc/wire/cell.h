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
 * Copy the whole cell, each word read exactly once: the other side may be hostile and write while
 * we read. The caller checks and uses the copy only.
 */
#if defined(__SSE2__) && !defined(__KERNEL__)
/* Four loads instead of eight: twice the stream that a consumer can take. Still one per word. */
typedef long long sx_cell_part __attribute__((vector_size(16), may_alias));

static inline void sx_cell_snapshot(struct sx_cell *to, const struct sx_cell *from)
{
	const volatile sx_cell_part *f = (const volatile sx_cell_part *)from;
	sx_cell_part *t = (sx_cell_part *)to;

	t[0] = f[0];
	t[1] = f[1];
	t[2] = f[2];
	t[3] = f[3];
}
#else
static inline void sx_cell_snapshot(struct sx_cell *to, const struct sx_cell *from)
{
	const volatile uint64_t *f = (const volatile uint64_t *)from;
	uint64_t *t = (uint64_t *)to;

	for (int i = 0; i < 8; i++)
		t[i] = f[i];
}
#endif

#endif
