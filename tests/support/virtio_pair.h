// SPDX-License-Identifier: BSD-3-Clause
/*
 * A driver and a device at the two ends of one queue, in one thread; what is not as it must be
 * fails the cmocka test.
 */
#ifndef SX_TESTS_SUPPORT_VIRTIO_PAIR_H
#define SX_TESTS_SUPPORT_VIRTIO_PAIR_H

#include <linux/virtio_config.h>

#include "tests/support/virtio_driver.h"

#define PAIR_SIZE   256 /* entries at most */
#define PAIR_SEGS   32  /* in a chain */
#define PAIR_BASE   0x100000
#define PAIR_MEMORY (8 << 20)

#define PACKED   (1ull << VIRTIO_F_RING_PACKED)
#define INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define EVENT    (1ull << VIRTIO_RING_F_EVENT_IDX)
#define IN_ORDER (1ull << VIRTIO_F_IN_ORDER)

struct pair {
	struct vd_memory memory;
	struct vd_queue driver;
	struct sx_virtqueue device;
	unsigned interrupts;
	uint32_t seed;
};

/* For cmocka_run_group_tests(): the test's thread runs devices. */
int pair_set_up(void **state);
int pair_tear_down(void **state);

void pair_open(struct pair *p, uint16_t size, uint64_t features);
/* The device must not have broken. */
void pair_close(struct pair *p);

/* A number below @below, the same in each run. */
uint32_t pair_draw(struct pair *p, uint32_t below);

/* Make @n chains of one writable buffer of 16 bytes; returns whether the device wants a kick. */
bool pair_offer(struct pair *p, unsigned n);
/* The device takes one chain, which must be there. Its segments are lost. */
void pair_pop(struct pair *p, struct sx_vq_chain *c);
/* The device uses @n chains and shows them at once; returns how often it interrupted. */
unsigned pair_use(struct pair *p, unsigned n);
/* The driver takes @want such chains, and there are no more. */
void pair_take(struct pair *p, unsigned want);

#endif
