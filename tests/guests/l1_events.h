/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guests l1_events and l1_deliver do, and how they and their test meet. */
#ifndef TEST_L1_EVENTS_H
#define TEST_L1_EVENTS_H

#include <stdint.h>

/* The guest's argument: the case in the low byte, above it how often. */
#define L1_CASE(what, rounds) ((uint64_t)(what) | (uint64_t)(rounds) << 8)

enum l1_case {
	L1_NAMED,       /* interrupts of L1: an exit with the vector that the line names */
	L1_ACKNOWLEDGE, /* the same, acknowledged in L1's APIC */
	L1_NO_ACK,      /* the same, without acknowledge on exit */
	L1_TO_L2,       /* interrupts that do not exit: L2 takes them */
	L1_HELD_OFF,    /* interrupts that L1's task priority keeps off end nothing */
	L1_NMI_TO_L2,   /* NMIs that do not exit: L2 takes them */
	L1_APIC_TIMER,  /* L1's APIC timer ends L2's run */
	L1_NMI,         /* an NMI of L1 */
	L1_LINE,        /* L1's handler says by the line that it was interrupted */
	L1_LINE_HALTED, /* the same, while L2 is halted */
	L1_TIMER,       /* the VMX-preemption timer */
	L1_HALTED,      /* entries in the HLT state, and what ends it */
	L1_HLT,         /* L2's own HLT */
	L1_FOR_EVER,    /* an endless L2, to be stopped from outside */
	L1_FOR_EVER_HALTED,
	L1_WHEN_TOLD, /* as L1_FOR_EVER, but it wishes to be told when */
	L1_AGAIN,     /* an endless L2 that is entered again after each interrupt */
	/* Of the guest l1_deliver: */
	L1_DELIVER,     /* events that L1 injects */
	L1_ON_ITS_WAY,  /* the same, and their delivery exits */
	L1_WINDOWS,     /* interrupt windows */
	L1_NMI_WINDOWS, /* NMI windows */
	L1_TPR,         /* the TPR shadow */
};

enum l1_wish {
	L1_WISH_NOTHING,
	L1_WISH_IRQ, /* raise testdev's interrupt */
	L1_WISH_NMI,
	L1_WISH_GO, /* nothing is done, L1 waits for the answer */
};

/* At the start of the guest's heap. */
struct l1_page {
	uint64_t wish;    /* enum l1_wish: L1 sets it, the test does it and clears it */
	uint64_t l2_runs; /* 1: not before L2 has counted on */
	uint64_t count;   /* of L2's loop */
};

#endif
