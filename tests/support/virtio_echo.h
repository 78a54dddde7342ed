// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio device of two groups that turns words over, and a driver that uses, resets and breaks
 * it. The caller runs its groups; what is not as it must be fails the cmocka test.
 */
#ifndef SX_TESTS_SUPPORT_VIRTIO_ECHO_H
#define SX_TESTS_SUPPORT_VIRTIO_ECHO_H

#include "tests/support/virtio_world.h"

#define VE_QUEUES 4 /* 0 and 2 are group 0, 1 and 3 are group 1 */
#define VE_GROUPS 2
#define VE_SIZE   8

struct ve_bench {
	struct vw_world w;
	struct sx_virtio_device dev;
	struct sx_virtio_pci pci;
	struct vw_driver d;
	sx_gpa buffers;
	uint64_t starts[VE_QUEUES], stops[VE_QUEUES]; /* written by the group */
	void (*breathe)(void);                        /* what the driver does while it waits */
};

void ve_open(struct ve_bench *b, bool may_sleep, void (*breathe)(void));
/* The groups run no more. */
void ve_close(struct ve_bench *b);

/* Bring it up; the features differ from round to round. */
void ve_up(struct ve_bench *b, unsigned round);
/* Reset it, and see that it has let go of its queues. */
void ve_down(struct ve_bench *b);
/* Send some requests through a queue and wait for all the answers. */
void ve_traffic(struct ve_bench *b, unsigned queue, uint32_t round);
/* Reset one queue and set it up anew. */
void ve_reset_queue(struct ve_bench *b, unsigned queue);
/* Send what no driver may, and wait until the device asks for a reset. */
void ve_break(struct ve_bench *b, unsigned queue);

#endif
