/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library of micro-guests: what a program that runs at CPL3 on a bare vCPU needs.
 *
 * A guest defines guest_main(); each vCPU runs it on its own stack. When vCPU 0 returns, the
 * guest ends with the value as its exit code.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/wire/boot.h"
#include "ipc/wire/ring.h"
#include "ipc/wire/testdev.h"

int guest_main(const struct sx_boot_info *boot, unsigned vcpu);

/* ---- ports, registers, time ---- */

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

/*
 * A device register: exactly one access of 64 bits, in program order. In assembly, because
 * volatile is not enough: GCC 12 may store once more behind a loop that stores to a volatile.
 */
static inline uint64_t reg_read(const uint64_t *reg)
{
	uint64_t value;

	__asm__ volatile("movq %1, %0" : "=r"(value) : "m"(*reg) : "memory");
	return value;
}

static inline void reg_write(uint64_t *reg, uint64_t value)
{
	__asm__ volatile("movq %1, %0" : "=m"(*reg) : "r"(value) : "memory");
}

static inline uint64_t tsc_now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* By an instruction and not by a builtin, which code without SSE may not use. */
static inline void load_fence(void)
{
	__asm__ volatile("lfence" : : : "memory");
}

/* TSC, not read before what precedes it has finished (SDM Vol. 2B, RDTSC). */
static inline uint64_t tsc_begin(void)
{
	load_fence();
	return tsc_now();
}

/* TSC, after what precedes it; what follows does not begin before. */
static inline uint64_t tsc_end(void)
{
	uint64_t t;

	load_fence();
	t = tsc_now();
	load_fence();
	return t;
}

/* ---- output and end ---- */

void guest_puts(const char *text);
/* %u (unsigned), %llu, %x, %llx, %s, %c, %% and no widths: enough for a test's report. */
void guest_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void guest_exit(unsigned code);

/* Print what failed and end the guest with code 1. */
#define GUEST_ASSERT(cond)                                              \
	do {                                                            \
		if (!(cond))                                            \
			guest_assert_failed(#cond, __FILE__, __LINE__); \
	} while (0)
_Noreturn void guest_assert_failed(const char *what, const char *file, unsigned line);

/* ---- interrupts: trap gates at CPL3 ---- */

/*
 * Have @handler called for @vector, with interrupts left enabled (an interrupt gate would lose
 * IF for good: IRET at CPL3 cannot set it). The handler ends an external interrupt with
 * guest_eoi(). Exceptions without a handler end the guest with a report.
 */
void guest_handle(unsigned vector, void (*handler)(void));

/* The same with code of one's own, which the processor comes to as it is; for all vCPUs. */
void guest_set_gate(unsigned vector, const void *entry);

/* Enable this vCPU's xAPIC (SDM Vol. 3A 11.4.7.2); once, before the first interrupt. */
void guest_enable_apic(void);

static inline void guest_eoi(void)
{
	*(volatile uint32_t *)(uintptr_t)(SX_GUEST_XAPIC + 0xb0) = 0;
}

/* ---- rings ---- */

/* One of this vCPU's rings on testdev, and what to write to have it looked at. */
struct guest_ring {
	struct sx_producer p;
	const struct sx_boot_info *boot;
	uint64_t kick;
};

struct guest_ring guest_request_ring(const struct sx_boot_info *boot, unsigned vcpu);
struct guest_ring guest_stream_ring(const struct sx_boot_info *boot, unsigned vcpu);

/*
 * Tell the consumer to look, where it does not by itself: always in trap mode, in split mode
 * only when it sleeps.
 */
static inline void guest_ring_kick(const struct guest_ring *r)
{
	if (!r->boot->split || (r->p.ring->flags & SX_RING_KICK && sx_producer_must_kick(&r->p)))
		reg_write((uint64_t *)(uintptr_t)r->boot->ring_kick, r->kick);
}

/* Send the request filled in the next cell and wait for its reply, which lies in that cell. */
static inline struct sx_cell *guest_ring_call(struct guest_ring *r)
{
	uint32_t n = sx_producer_publish(&r->p);

	guest_ring_kick(r);
	while (!sx_producer_replied(&r->p, n))
		;
	return sx_producer_cell(&r->p, n);
}

/* ---- memory ---- */

void *memset(void *to, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);

#endif
