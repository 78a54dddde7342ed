/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads a register 100 times, writes it 40 times, posts 30 messages one by one, prints "done", and
 * then runs on without an exit: what can be counted of it stays the same from then on.
 */
#include "bench/guests/lib/guest.h"

#define READS  100
#define WRITES 40
#define POSTS  30

static void post(struct guest_ring *ring, uint64_t n)
{
	struct sx_cell *cell = sx_producer_cell(&ring->p, ring->p.next);

	cell->op = SX_TESTDEV_POST;
	for (unsigned i = 0; i < SX_CELL_WORDS; i++)
		cell->w[i] = n;
	sx_producer_publish(&ring->p);
	guest_ring_kick(ring);
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	struct sx_testdev_regs *dev = (void *)(uintptr_t)boot->testdev;
	struct guest_ring ring = guest_stream_ring(boot, vcpu);

	for (unsigned i = 0; vcpu == 0 && i < READS; i++)
		GUEST_ASSERT(reg_read(&dev->id) == SX_TESTDEV_ID_VALUE);
	for (unsigned i = 0; vcpu == 0 && i < WRITES; i++)
		reg_write(&dev->scratch, i);
	for (unsigned i = 0; vcpu == 0 && i < POSTS; i++)
		post(&ring, i);
	while (vcpu == 0 && !sx_producer_drained(&ring.p))
		;
	if (vcpu == 0)
		guest_puts("done\n");
	for (;;)
		sx_pause();
}
