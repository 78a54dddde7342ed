/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a test tells its micro-guest what to do, and hears what came of it: one page at the start
 * of the guest's heap. The test fills it before the guest starts.
 */
#ifndef TEST_PAGE_H
#define TEST_PAGE_H

#include "ipc/wire/types.h"

#define TEST_VCPUS 8

/* What each vCPU of the guest `work` does `count` times. */
enum test_work {
	TEST_READS,        /* read a register that exits */
	TEST_WRITES,       /* write one: `scratch`, 1, 2, 3, ... */
	TEST_DOORBELLS,    /* ring the doorbell that exits */
	TEST_TWIN_WRITES,  /* write `scratch` of the twin, 1, 2, 3, ... */
	TEST_TWIN_RINGS,   /* ring the twin's doorbell, and when split wait until it was seen */
	TEST_PORT_READS,   /* read the UART's scratch register */
	TEST_PORT_WRITES,  /* write it */
	TEST_PORT_STRINGS, /* write it `seed` times by one string instruction, then read it so */
	TEST_REQUESTS,     /* echo by ring, one at a time, each checked */
	TEST_WAKES,        /* the same, each when the sidecore sleeps: it has to be kicked */
	TEST_POSTS,        /* posts in bursts of 1 to 64, drained and counted at the end */
	TEST_MIX,          /* posts and echoes in a random order, several on their way */
	TEST_IRQS,         /* raise the interrupt by exit, wait for the handler; vCPU 0 only */
	TEST_TWIN_IRQS,    /* the same by the twin */
};

struct test_result {
	uint64_t done;  /* operations */
	uint64_t wrong; /* of them, answered otherwise than they must be */
	uint64_t finished;
	uint64_t posts; /* sent by TEST_POSTS and TEST_MIX; out of sequence, by COUNTS */
	uint64_t out_of_sequence;
	uint64_t pad[3];
};

struct test_page {
	uint64_t work; /* enum test_work */
	uint64_t count;
	uint64_t seed;   /* not 0 */
	uint64_t stream; /* by the ring for streams, not the one for requests */
	uint64_t pad[4];
	struct test_result vcpu[TEST_VCPUS];
};

_Static_assert(sizeof(struct test_result) == SX_CACHE_LINE, "each vCPU writes a line of its own");

/* xorshift64: a repeatable stream of numbers from a seed that is not 0. */
static inline uint64_t test_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

#endif
