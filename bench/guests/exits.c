/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest of `splitx bench exits`: times one kind of operation after the other. */
#include "bench/guests/commands.h"
#include "bench/guests/lib/guest.h"

static const struct sx_boot_info *boot;
static struct sx_bench_page *page;
static struct sx_testdev_regs *dev;  /* registers that exit */
static struct sx_testdev_regs *twin; /* shared page */
static struct guest_ring requests, stream;
static uint64_t posted;
static uint64_t cookie; /* also the next value of doorbells, so that each write is a change */

static volatile uint64_t handled_cookie;
static volatile uint64_t handler_tsc;
static struct sx_testdev_regs *irq_source;

/* ---- one operation of each kind; each returns the cycles it took ---- */

static uint64_t time_nothing(void)
{
	uint64_t t = tsc_begin();

	return tsc_end() - t;
}

static uint64_t time_read(const uint64_t *reg)
{
	uint64_t t = tsc_begin();

	reg_read(reg);
	return tsc_end() - t;
}

static uint64_t time_write(uint64_t *reg)
{
	uint64_t value = ++cookie;
	uint64_t t = tsc_begin();

	reg_write(reg, value);
	return tsc_end() - t;
}

static uint64_t time_reads(const uint64_t *reg)
{
	uint64_t t = tsc_begin();

	for (uint32_t i = 0; i < page->messages; i++)
		reg_read(reg);
	return tsc_end() - t;
}

/*
 * The device says at @answer that it has seen a write. That is waited for, though not timed: what
 * is timed has to have happened.
 */
static uint64_t time_writes(uint64_t *reg, const uint64_t *answer)
{
	uint64_t before = boot->split ? reg_read(answer) : 0;
	uint64_t t = tsc_begin();

	for (uint32_t i = 0; i < page->messages; i++)
		reg_write(reg, ++cookie);
	t = tsc_end() - t;
	while (boot->split && reg_read(answer) == before)
		;
	return t;
}

static uint64_t time_request(void)
{
	struct sx_cell *cell = sx_producer_cell(&requests.p, requests.p.next);
	uint64_t value = ++cookie;
	uint64_t t = tsc_begin();

	cell->op = SX_TESTDEV_ECHO;
	cell->w[0] = value;
	cell = guest_ring_call(&requests);
	page->failures += cell->w[0] != ~value;
	return tsc_end() - t;
}

static inline void fill_post(struct sx_cell *cell)
{
	cell->op = SX_TESTDEV_POST;
	cell->arg = 0;
	cell->w[0] = posted++;
	for (int k = 1; k < SX_CELL_WORDS; k++)
		cell->w[k] = posted;
}

static void post_burst(uint32_t batch)
{
	struct sx_producer *p = &stream.p;

	while (sx_producer_room(p, batch) < batch)
		;
	for (uint32_t i = 0; i < batch; i++) {
		sx_prefetch_to_write(sx_producer_cell(p, p->next + i + SX_RING_OWN_AHEAD));
		fill_post(sx_producer_cell(p, p->next + i));
	}
	sx_producer_publish_burst(p, batch);
	guest_ring_kick(&stream);
}

static uint64_t time_stream(void)
{
	uint64_t t = tsc_begin();

	for (uint32_t sent = 0; sent < page->messages; sent += page->batch)
		post_burst(page->batch);
	while (!sx_producer_drained(&stream.p))
		;
	return tsc_end() - t;
}

/* ---- interrupts ---- */

static void on_interrupt(void)
{
	uint64_t now = tsc_begin();

	handler_tsc = now;
	guest_eoi();
	reg_write(&irq_source->ack, cookie);
	handled_cookie = cookie;
}

static uint64_t time_irq(int until_reply)
{
	uint64_t mine = ++cookie;
	uint64_t t = tsc_begin();

	reg_write(&irq_source->raise, mine);
	while (handled_cookie != mine)
		;
	/*
	 * An ack that exits is known to the device when the store is done; on the shared page the
	 * device says when it has seen it. We always wait for it, so that one interrupt is over
	 * before the next begins.
	 */
	while (irq_source == twin && boot->split && reg_read(&twin->acked) != mine)
		;
	return (until_reply ? tsc_end() : handler_tsc) - t;
}

/* ---- commands ---- */

static uint64_t operate(void)
{
	switch (page->op) {
	case SX_BENCH_NOTHING:
		return time_nothing();
	case SX_BENCH_REG_READ:
		return time_read(&dev->mirror);
	case SX_BENCH_REG_WRITE:
		return time_write(&dev->scratch);
	case SX_BENCH_DOORBELL:
		return time_write((uint64_t *)(uintptr_t)page->doorbell);
	case SX_BENCH_PAGE_READ:
		return time_reads(&twin->mirror);
	case SX_BENCH_PAGE_WRITE:
		return time_writes(&twin->scratch, &twin->mirror);
	case SX_BENCH_PAGE_DOORBELL:
		return time_writes(&twin->doorbell, &twin->rings);
	case SX_BENCH_REQUEST:
		return time_request();
	case SX_BENCH_STREAM:
		return time_stream();
	case SX_BENCH_IRQ:
		return time_irq(0);
	case SX_BENCH_IRQ_REPLY:
		return time_irq(1);
	default:
		page->failures++;
		return 0;
	}
}

int guest_main(const struct sx_boot_info *info, unsigned vcpu)
{
	boot = info;
	page = (struct sx_bench_page *)(uintptr_t)boot->heap;
	dev = (struct sx_testdev_regs *)(uintptr_t)boot->testdev;
	twin = (struct sx_testdev_regs *)(uintptr_t)boot->twin;
	requests = guest_request_ring(boot, vcpu);
	stream = guest_stream_ring(boot, vcpu);
	guest_handle(boot->vector, on_interrupt);
	guest_handle(boot->twin_vector, on_interrupt);
	guest_enable_apic();
	for (;;) {
		outl(SX_PORT_YIELD, 0);
		irq_source = boot->split ? twin : dev;
		bench_carry_out(page, operate);
	}
}
