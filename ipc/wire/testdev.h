/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * testdev: the device that tests and benchmarks talk to, in three forms with one meaning.
 *
 * - Registers that exit: each access is an MMIO exit.
 * - The shared-page twin: the same registers in plain memory that a sidecore polls. A write is
 *   noticed when the word changes, so two equal values in a row are one event.
 * - A ring (ipc/wire/ring.h) that takes the operations below.
 *
 * A turn of the loop that polls a page or ring raises one interrupt for it at most: of several that
 * were asked for meanwhile the last cookie is what is seen.
 */
#ifndef SX_WIRE_TESTDEV_H
#define SX_WIRE_TESTDEV_H

#include "ipc/wire/types.h"

#define SX_TESTDEV_ID_VALUE 0x5678537464657631ull /* what ID reads as */

/* Registers are 64 bits wide; other sizes and offsets are refused (counted, read as all ones). */
struct sx_testdev_regs {
	/* Written by the guest; one line. */
	uint64_t scratch;  /* keeps what is written */
	uint64_t doorbell; /* each write is counted */
	uint64_t raise;    /* each write raises the interrupt, with this cookie */
	uint64_t ack;      /* the guest's handler says which cookie it handled */
	uint8_t pad[96];
	/* Written by the device; one line. A guest's write is undone on the twin, else ignored. */
	uint64_t id;
	uint64_t rings;  /* doorbells seen */
	uint64_t raised; /* cookie of the last interrupt raised */
	uint64_t acked;  /* last ack seen */
	uint64_t mirror; /* the scratch value the device has seen */
};

_Static_assert(__builtin_offsetof(struct sx_testdev_regs, id) == 128, "layout is wire format");

#define SX_TESTDEV_SIZE 4096

/* Ring operations; w[] are the cell's words. */
enum sx_testdev_op {
	SX_TESTDEV_ECHO = 1,   /* request: every word comes back inverted */
	SX_TESTDEV_POST = 2,   /* post: w[0] must count 0, 1, 2, ...; w[1..6] are summed */
	SX_TESTDEV_RAISE = 3,  /* post: raise the interrupt, cookie w[0] */
	SX_TESTDEV_COUNTS = 4, /* request: w = posts, out of sequence, sum, doorbells, raised */
};

/* In a reply's `arg`. */
enum sx_testdev_status {
	SX_TESTDEV_OK = 0,
	SX_TESTDEV_BAD_OP = 1,
};

#endif
