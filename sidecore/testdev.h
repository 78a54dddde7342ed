// SPDX-License-Identifier: BSD-3-Clause
/*
 * testdev (ipc/wire/testdev.h): one device model, reached by exits, by a shared page or by a ring.
 *
 * Each form is an instance of its own, with its own owner.
 */
#ifndef SX_SIDECORE_TESTDEV_H
#define SX_SIDECORE_TESTDEV_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/irq.h"
#include "ipc/wire/testdev.h"
#include "sidecore/bus.h"
#include "sidecore/poller.h"
#include "sidecore/ring_server.h"

struct sx_testdev {
	/* The registers as the guest sees them. */
	uint64_t scratch;
	uint64_t rings;
	uint64_t raised;
	uint64_t acked;
	struct sx_irq *irq; /* NULL: raising does nothing */
	bool interrupt_due; /* ring: at the end of this turn */
	/* What tests and statistics look at. */
	uint64_t refused;      /* accesses that the registers do not allow */
	uint64_t irq_failures; /* interrupts that could not be raised */
	uint64_t posts;        /* ring: SX_TESTDEV_POST taken */
	uint64_t out_of_sequence;
	uint64_t post_sum;
	uint64_t requests;
};

void sx_testdev_init(struct sx_testdev *d, struct sx_irq *irq);

/* By exits: ops for a bus range of SX_TESTDEV_SIZE bytes whose dev is the struct sx_testdev. */
extern const struct sx_bus_ops sx_testdev_bus_ops;

/* By a ring: a handler for a ring server. */
struct sx_ring_handler sx_testdev_ring_handler(struct sx_testdev *d);

/* By a shared page: a poller that watches it, and undoes what the guest may not write. */
struct sx_testdev_page {
	struct sx_testdev dev;
	struct sx_testdev_regs *regs; /* guest memory */
	uint64_t doorbell;            /* last values seen */
	uint64_t raise;
	uint64_t restored; /* device-written words that the guest had changed */
	struct sx_poller poller;
};

/* @regs: the page, SX_TESTDEV_SIZE bytes of memory that the guest has mapped. */
void sx_testdev_page_init(struct sx_testdev_page *t, struct sx_testdev_regs *regs,
			  struct sx_irq *irq);

/*
 * The registers have been used by exits meanwhile (sx_testdev_bus_ops on @t->dev): have the page
 * say what they are now. Neither the guest nor a sidecore uses it.
 */
void sx_testdev_page_resume(struct sx_testdev_page *t);

#endif
