/* SPDX-License-Identifier: BSD-3-Clause */
/* Does one kind of operation as often as the test says (page.h), on each vCPU. */
#include "bench/guests/lib/guest.h"
#include "tests/guests/page.h"

#define UART_SCRATCH (SX_PORT_UART + 7)
#define MAX_RING     4096

struct worker {
	const struct sx_boot_info *boot;
	struct test_page *page;
	struct test_result *result;
	struct sx_testdev_regs *dev, *twin;
	struct guest_ring ring;
	unsigned vcpu;
	uint64_t seed;
	uint64_t posted;
	uint64_t post_sum;
};

static volatile uint64_t handled;

/* The test may change its mind about `count` while we run. */
static int more(const struct worker *w)
{
	return w->result->done < sx_load_relaxed(&w->page->count);
}

/* ---- registers and ports ---- */

static void read_registers(struct worker *w)
{
	for (; more(w); w->result->done++)
		w->result->wrong += reg_read(&w->dev->id) != SX_TESTDEV_ID_VALUE;
}

static void write_registers(struct worker *w, uint64_t *reg)
{
	for (; more(w); w->result->done++)
		reg_write(reg, w->result->done + 1);
}

static void ring_twin(struct worker *w)
{
	for (; more(w); w->result->done++) {
		reg_write(&w->twin->doorbell, w->result->done + 1);
		while (w->boot->split && reg_read(&w->twin->rings) != w->result->done + 1)
			;
	}
}

static void read_ports(struct worker *w)
{
	outb(UART_SCRATCH, 0x5a);
	for (; more(w); w->result->done++)
		w->result->wrong += inb(UART_SCRATCH) != 0x5a;
}

static void write_ports(struct worker *w)
{
	for (; more(w); w->result->done++)
		outb(UART_SCRATCH, (uint8_t)w->result->done);
}

static uint8_t string[4096];

static void write_string(struct worker *w)
{
	const uint8_t *at = string;
	uint64_t left = w->page->seed;

	__asm__ volatile("rep outsb" : "+S"(at), "+c"(left) : "d"(UART_SCRATCH) : "memory");
	w->result->wrong += at != string + w->page->seed || left;
}

/* All it reads is what was written last. */
static void read_string(struct worker *w)
{
	uint8_t *at = string;
	uint64_t left = w->page->seed;

	__asm__ volatile("rep insb" : "+D"(at), "+c"(left) : "d"(UART_SCRATCH) : "memory");
	w->result->wrong += at != string + w->page->seed || left;
	while (at-- != string)
		w->result->wrong += *at != 0xa5;
}

static void use_strings(struct worker *w)
{
	GUEST_ASSERT(w->page->seed < sizeof(string));
	for (; more(w); w->result->done++) {
		memset(string, 0, sizeof(string));
		string[w->page->seed - 1] = 0xa5;
		write_string(w);
		read_string(w);
		w->result->wrong += string[w->page->seed] != 0;
	}
}

/* ---- ring ---- */

static void fill(struct sx_cell *cell, uint16_t op, uint64_t value)
{
	cell->op = op;
	cell->arg = 0xffff;
	for (unsigned i = 0; i < SX_CELL_WORDS; i++)
		cell->w[i] = value + i;
}

static int echoed(const struct sx_cell *cell, uint64_t value)
{
	int same = cell->arg == SX_TESTDEV_OK;

	for (unsigned i = 0; i < SX_CELL_WORDS; i++)
		same &= cell->w[i] == ~(value + i);
	return same;
}

static void wait_for_sleep(const struct guest_ring *r)
{
	while (!sx_load_acquire(&r->p.ring->asleep))
		sx_pause();
}

static void request(struct worker *w, int asleep)
{
	for (; more(w); w->result->done++) {
		uint64_t value = test_random(&w->seed);

		if (asleep)
			wait_for_sleep(&w->ring);

		fill(sx_producer_cell(&w->ring.p, w->ring.p.next), SX_TESTDEV_ECHO, value);
		w->result->wrong += !echoed(guest_ring_call(&w->ring), value);
	}
}

/* The post of the cell @n: w[0] counts, the others are summed by the device. */
static void fill_post(struct worker *w, uint32_t n)
{
	uint64_t value = test_random(&w->seed);
	struct sx_cell *cell = sx_producer_cell(&w->ring.p, n);

	fill(cell, SX_TESTDEV_POST, value);
	cell->w[0] = w->posted++;
	for (unsigned i = 1; i < SX_CELL_WORDS; i++)
		w->post_sum += value + i;
}

static void wait_for_room(struct worker *w, uint32_t want)
{
	while (sx_producer_room(&w->ring.p, want) < want)
		;
}

static void ask_counts(struct worker *w)
{
	struct sx_cell *cell;

	wait_for_room(w, 1);
	cell = sx_producer_cell(&w->ring.p, w->ring.p.next);
	cell->op = SX_TESTDEV_COUNTS;
	cell = guest_ring_call(&w->ring);
	w->result->posts = w->posted;
	w->result->out_of_sequence = cell->w[1];
	w->result->wrong += cell->w[0] != w->posted || cell->w[2] != w->post_sum;
}

static void post(struct worker *w)
{
	while (more(w)) {
		uint64_t left = w->page->count - w->result->done;
		uint32_t burst = (uint32_t)(test_random(&w->seed) % 64) + 1;

		if (burst > left)
			burst = (uint32_t)left;
		wait_for_room(w, burst);
		for (uint32_t i = 0; i < burst; i++)
			fill_post(w, w->ring.p.next + i);
		sx_producer_publish_burst(&w->ring.p, burst);
		guest_ring_kick(&w->ring);
		w->result->done += burst;
	}
	while (!sx_producer_drained(&w->ring.p))
		;
	ask_counts(w);
}

/* What message n was, by its cell: the value of an echo, 0 for a post. */
static uint64_t sent[TEST_VCPUS][MAX_RING];

/* Look at the replies that have come; returns the number of the first message not looked at. */
static uint32_t collect(struct worker *w, uint32_t from)
{
	for (; from != w->ring.p.next; from++) {
		uint64_t value = sent[w->vcpu][from & w->ring.p.mask];

		if (!value)
			continue;
		if (!sx_producer_replied(&w->ring.p, from))
			break;
		w->result->wrong += !echoed(sx_producer_cell(&w->ring.p, from), value);
	}
	return from;
}

static void mix(struct worker *w)
{
	uint32_t looked_at = 0;

	while (more(w)) {
		uint32_t n = w->ring.p.next;
		uint64_t echo = test_random(&w->seed);

		looked_at = collect(w, looked_at);
		if (n - looked_at > w->ring.p.mask)
			continue;
		wait_for_room(w, 1);
		if (echo % 3 == 0) {
			fill(sx_producer_cell(&w->ring.p, n), SX_TESTDEV_ECHO, echo);
		} else {
			fill_post(w, n);
			echo = 0;
		}
		sent[w->vcpu][n & w->ring.p.mask] = echo;
		sx_producer_publish(&w->ring.p);
		guest_ring_kick(&w->ring);
		w->result->done++;
	}
	while (looked_at != w->ring.p.next)
		looked_at = collect(w, looked_at);
	ask_counts(w);
}

/* ---- interrupts ---- */

static void on_interrupt(void)
{
	guest_eoi();
	handled++;
}

static void interrupt(struct worker *w, struct sx_testdev_regs *source)
{
	if (w->vcpu != 0)
		return;
	guest_handle(w->boot->vector, on_interrupt);
	guest_handle(w->boot->twin_vector, on_interrupt);
	guest_enable_apic();
	for (; more(w); w->result->done++) {
		reg_write(&source->raise, w->result->done + 1);
		while (handled != w->result->done + 1)
			;
	}
}

/* ---- */

static void work(struct worker *w)
{
	switch ((enum test_work)w->page->work) {
	case TEST_READS:
		return read_registers(w);
	case TEST_WRITES:
		return write_registers(w, &w->dev->scratch);
	case TEST_DOORBELLS:
		return write_registers(w, &w->dev->doorbell);
	case TEST_TWIN_WRITES:
		return write_registers(w, &w->twin->scratch);
	case TEST_TWIN_RINGS:
		return ring_twin(w);
	case TEST_PORT_READS:
		return read_ports(w);
	case TEST_PORT_WRITES:
		return write_ports(w);
	case TEST_PORT_STRINGS:
		return use_strings(w);
	case TEST_REQUESTS:
		return request(w, 0);
	case TEST_WAKES:
		return request(w, 1);
	case TEST_POSTS:
		return post(w);
	case TEST_MIX:
		return mix(w);
	case TEST_IRQS:
		return interrupt(w, w->dev);
	case TEST_TWIN_IRQS:
		return interrupt(w, w->twin);
	}
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	struct test_page *page = (struct test_page *)(uintptr_t)boot->heap;
	struct worker w = {
		.boot = boot,
		.page = page,
		.result = &page->vcpu[vcpu],
		.dev = (struct sx_testdev_regs *)(uintptr_t)boot->testdev,
		.twin = (struct sx_testdev_regs *)(uintptr_t)boot->twin,
		.ring = page->stream ? guest_stream_ring(boot, vcpu)
				     : guest_request_ring(boot, vcpu),
		.vcpu = vcpu,
		.seed = page->seed + vcpu,
	};

	GUEST_ASSERT(vcpu < TEST_VCPUS && w.ring.p.mask < MAX_RING);
	work(&w);
	/* Pairs with the acquire below. */
	sx_store_release(&w.result->finished, 1ull);
	/* vCPU 0 ends the guest, when all have finished. */
	for (unsigned i = 0; vcpu == 0 && i < boot->vcpus; i++)
		while (!sx_load_acquire(&page->vcpu[i].finished))
			sx_pause();
	return 0;
}
