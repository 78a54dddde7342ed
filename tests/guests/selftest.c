/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks at everything a micro-guest is promised, from the inside: boot info, registers by exit and
 * by shared page, interrupts, rings. It runs the same in trap and in split mode.
 */
#include "bench/guests/lib/guest.h"

#define ALL_ONES (~0ull)

static const struct sx_boot_info *boot;
static struct sx_testdev_regs *dev, *twin;
static volatile uint64_t interrupts;
static struct sx_testdev_regs *irq_source;

static void check_boot_info(void)
{
	GUEST_ASSERT(boot->version == SX_WIRE_VERSION);
	GUEST_ASSERT(boot->vcpus >= 1 && boot->memory % 4096 == 0);
	GUEST_ASSERT(boot->heap % 4096 == 0 && boot->heap > SX_GUEST_IMAGE);
	GUEST_ASSERT(boot->heap < boot->heap_end && boot->heap_end < boot->memory);
	GUEST_ASSERT(boot->requests.base % SX_CACHE_LINE == 0);
	GUEST_ASSERT(boot->streams.base % SX_CACHE_LINE == 0);
	GUEST_ASSERT(boot->vector >= 32 && boot->twin_vector >= 32);
	GUEST_ASSERT(boot->vector != boot->twin_vector);
}

/* All memory that is the guest's keeps what is written. */
static void check_heap(void)
{
	for (uint64_t at = boot->heap; at < boot->heap_end; at += 4096)
		*(volatile uint64_t *)(uintptr_t)at = ~at;
	for (uint64_t at = boot->heap; at < boot->heap_end; at += 4096)
		GUEST_ASSERT(*(volatile uint64_t *)(uintptr_t)at == ~at);
}

/* ---- registers ---- */

static uint64_t read_sized(const volatile void *at, unsigned size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)at;
	case 2:
		return *(const volatile uint16_t *)at;
	case 4:
		return *(const volatile uint32_t *)at;
	default:
		return *(const volatile uint64_t *)at;
	}
}

static void write_sized(volatile void *at, unsigned size, uint64_t value)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)at = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)at = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)at = value;
	}
}

static uint64_t ones(unsigned size)
{
	return size == 8 ? ALL_ONES : (1ull << 8 * size) - 1;
}

static int polled(const struct sx_testdev_regs *regs)
{
	return regs == twin && boot->split;
}

/* A sidecore answers on the shared page when it gets round to it; an exit is answered at once. */
static void expect(const struct sx_testdev_regs *regs, const uint64_t *reg, uint64_t value)
{
	while (polled(regs) && reg_read(reg) != value)
		sx_pause();
	GUEST_ASSERT(reg_read(reg) == value);
}

static void check_registers(struct sx_testdev_regs *regs)
{
	uint64_t rings = reg_read(&regs->rings);

	GUEST_ASSERT(reg_read(&regs->id) == SX_TESTDEV_ID_VALUE);
	for (uint64_t i = 1; i <= 5; i++) {
		reg_write(&regs->scratch, i << 60 | i);
		expect(regs, &regs->mirror, i << 60 | i);
		GUEST_ASSERT(reg_read(&regs->scratch) == (i << 60 | i));
		reg_write(&regs->doorbell, i);
		expect(regs, &regs->rings, rings + i);
		reg_write(&regs->ack, i);
		expect(regs, &regs->acked, i);
	}
	reg_write(&regs->ack, 0);
	expect(regs, &regs->acked, 0);
}

/* What the device alone writes is as it was, after the guest has written there. */
static void check_read_only(struct sx_testdev_regs *regs)
{
	uint64_t *const words[] = {&regs->id, &regs->rings, &regs->raised, &regs->acked,
				   &regs->mirror};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		uint64_t before = reg_read(words[i]);

		reg_write(words[i], before + 1);
		expect(regs, words[i], before);
	}
}

static void refuse(volatile uint8_t *at, unsigned size)
{
	GUEST_ASSERT(read_sized(at, size) == ones(size));
	write_sized(at, size, 0x1122334455667788ull);
	GUEST_ASSERT(read_sized(at, size) == ones(size));
}

/* Where exits are answered, only whole registers are: the rest reads as ones and takes nothing. */
static void check_refusal(struct sx_testdev_regs *regs)
{
	volatile uint8_t *base = (volatile uint8_t *)regs;
	uint64_t scratch = reg_read(&regs->scratch), rings = reg_read(&regs->rings);

	for (unsigned size = 1; size <= 4; size *= 2)
		for (unsigned reg = 0; reg < 5; reg++) {
			refuse(base + 8ul * reg, size);
			refuse(base + 128 + 8ul * reg, size);
		}
	for (unsigned offset = 1; offset < 8; offset++)
		refuse(base + offset, 8);
	refuse(base + 32, 8);
	refuse(base + 120, 8);
	refuse(base + sizeof(struct sx_testdev_regs), 8);
	refuse(base + SX_TESTDEV_SIZE - 8, 8);
	refuse(base + SX_TESTDEV_SIZE - 1, 1);
	GUEST_ASSERT(reg_read(&regs->scratch) == scratch && reg_read(&regs->rings) == rings);
	GUEST_ASSERT(reg_read(&regs->id) == SX_TESTDEV_ID_VALUE);
}

/* ---- interrupts ---- */

static void on_interrupt(void)
{
	interrupts++;
	reg_write(&irq_source->ack, interrupts);
	guest_eoi();
}

/* The handler leaves the registers of the code it interrupts alone, SSE's among them. */
static void check_interrupts(struct sx_testdev_regs *regs, unsigned vector)
{
	uint64_t turns = 0;
	double sum = 0;

	interrupts = 0;
	irq_source = regs;
	guest_handle(vector, on_interrupt);
	for (uint64_t i = 1; i <= 20; i++) {
		reg_write(&regs->raise, i);
		for (; interrupts != i; turns++)
			sum += 0.5;
		expect(regs, &regs->raised, i);
		expect(regs, &regs->acked, i);
	}
	GUEST_ASSERT(interrupts == 20 && sum == (double)turns / 2);
	guest_handle(vector, 0);
}

/* ---- rings ---- */

static struct sx_cell *call(struct guest_ring *r, uint16_t op, uint64_t value)
{
	struct sx_cell *cell = sx_producer_cell(&r->p, r->p.next);

	cell->op = op;
	cell->arg = 0x5555;
	for (unsigned i = 0; i < SX_CELL_WORDS; i++)
		cell->w[i] = value * (i + 1);
	return guest_ring_call(r);
}

static void post(struct guest_ring *r, uint64_t value)
{
	struct sx_cell *cell;

	while (!sx_producer_room(&r->p, 1))
		;
	cell = sx_producer_cell(&r->p, r->p.next);
	cell->op = SX_TESTDEV_POST;
	for (unsigned i = 0; i < SX_CELL_WORDS; i++)
		cell->w[i] = value;
	sx_producer_publish(&r->p);
	guest_ring_kick(r);
}

static void check_echo(struct guest_ring *r)
{
	struct sx_cell *cell = call(r, SX_TESTDEV_ECHO, 0x0102030405060708ull);

	GUEST_ASSERT(cell->arg == SX_TESTDEV_OK);
	for (unsigned i = 0; i < SX_CELL_WORDS; i++)
		GUEST_ASSERT(cell->w[i] == ~(0x0102030405060708ull * (i + 1)));
}

static void check_unknown(struct guest_ring *r, uint16_t op)
{
	struct sx_cell *cell = call(r, op, 1);

	GUEST_ASSERT(cell->arg == SX_TESTDEV_BAD_OP);
	for (unsigned i = 0; i < SX_CELL_WORDS; i++)
		GUEST_ASSERT(cell->w[i] == 0);
}

static void check_ring(struct guest_ring *r)
{
	uint64_t laps = 2ull * (r->p.mask + 1) / 16;
	struct sx_cell *cell;

	GUEST_ASSERT(sx_producer_state(&r->p) == SX_RING_OPEN);
	check_echo(r);
	check_unknown(r, 0);
	check_unknown(r, 999);
	for (uint64_t i = 0; i < laps; i++)
		post(r, i);
	check_echo(r);
	cell = call(r, SX_TESTDEV_COUNTS, 0);
	GUEST_ASSERT(cell->w[0] == laps && cell->w[1] == 0);
	GUEST_ASSERT(cell->w[2] == (laps * (laps - 1) / 2) * (SX_CELL_WORDS - 1));
	/* Out of sequence: it is the device that notices. */
	post(r, laps + 7);
	cell = call(r, SX_TESTDEV_COUNTS, 0);
	GUEST_ASSERT(cell->w[0] == laps + 1 && cell->w[1] == 1);
	GUEST_ASSERT(sx_producer_drained(&r->p) || boot->split);
	GUEST_ASSERT(sx_producer_state(&r->p) == SX_RING_OPEN);
}

int guest_main(const struct sx_boot_info *info, unsigned vcpu)
{
	struct guest_ring requests, stream;

	if (vcpu != 0)
		return 0;
	boot = info;
	dev = (struct sx_testdev_regs *)(uintptr_t)boot->testdev;
	twin = (struct sx_testdev_regs *)(uintptr_t)boot->twin;
	requests = guest_request_ring(boot, vcpu);
	stream = guest_stream_ring(boot, vcpu);
	check_boot_info();
	check_heap();
	check_registers(dev);
	check_registers(twin);
	check_read_only(dev);
	check_read_only(twin);
	check_refusal(dev);
	if (!boot->split)
		check_refusal(twin);
	guest_enable_apic();
	check_interrupts(dev, boot->vector);
	check_interrupts(twin, boot->twin_vector);
	check_ring(&requests);
	check_ring(&stream);
	guest_puts("all well\n");
	return 0;
}
