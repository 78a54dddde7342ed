/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/guests/lib/guest.h"

#include <stdarg.h>

/* What a stub in start.S pushes, and the processor before it (SDM Vol. 3A 6.14.2). */
struct frame {
	uint64_t rbx, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type; /* P, DPL, type (SDM Vol. 3A 6.14.1) */
	uint16_t offset_mid;
	uint32_t offset_high;
	uint32_t reserved;
};

#define TRAP_GATE_DPL3 0xef

#define LSR_OFFSET 5
#define LSR_THRE   0x20

extern const uint8_t guest_stubs[];
_Noreturn void guest_start(const struct sx_boot_info *boot, unsigned vcpu);
void guest_interrupt(const struct frame *f);

static void (*handlers[256])(void);

void *memset(void *to, int c, size_t n)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(c) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
	return to;
}

static void put(char c)
{
	/* Wait for room: the other side of the UART may be a slow terminal. */
	while (!(inb(SX_PORT_UART + LSR_OFFSET) & LSR_THRE))
		;
	outb(SX_PORT_UART, (uint8_t)c);
}

void guest_puts(const char *text)
{
	for (; *text; text++)
		put(*text);
}

static void put_number(uint64_t value, unsigned base)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		put(digits[--n]);
}

/* One conversion; returns the format's next character. */
static const char *convert(const char *fmt, va_list *ap)
{
	int wide = 0;

	for (; *fmt == 'l'; fmt++)
		wide++;
	switch (*fmt) {
	case 'u':
	case 'x':
		put_number(wide ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned),
			   *fmt == 'u' ? 10 : 16);
		break;
	case 's':
		guest_puts(va_arg(*ap, const char *));
		break;
	case 'c':
		put((char)va_arg(*ap, int));
		break;
	default:
		put(*fmt);
	}
	return *fmt ? fmt + 1 : fmt;
}

void guest_printf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	while (*fmt) {
		if (*fmt == '%')
			fmt = convert(fmt + 1, &ap);
		else
			put(*fmt++);
	}
	va_end(ap);
}

_Noreturn void guest_exit(unsigned code)
{
	for (;;)
		outl(SX_PORT_DEBUG_EXIT, code);
}

_Noreturn void guest_assert_failed(const char *what, const char *file, unsigned line)
{
	guest_printf("%s:%u: assertion failed: %s\n", file, line, what);
	guest_exit(1);
}

void guest_interrupt(const struct frame *f)
{
	if (handlers[f->vector & 0xff]) {
		handlers[f->vector & 0xff]();
		return;
	}
	guest_printf("unexpected vector %llu, error 0x%llx, at rip 0x%llx\n",
		     (unsigned long long)f->vector, (unsigned long long)f->error,
		     (unsigned long long)f->rip);
	guest_exit(2);
}

void guest_set_gate(unsigned vector, const void *entry)
{
	struct gate *idt = (struct gate *)(uintptr_t)SX_GUEST_IDT;
	uintptr_t stub = (uintptr_t)entry;

	idt[vector] = (struct gate){
		.offset_low = (uint16_t)stub,
		.selector = SX_GUEST_CS,
		.type = TRAP_GATE_DPL3,
		.offset_mid = (uint16_t)(stub >> 16),
		.offset_high = (uint32_t)(stub >> 32),
	};
}

void guest_handle(unsigned vector, void (*handler)(void))
{
	handlers[vector & 0xff] = handler;
}

void guest_enable_apic(void)
{
	volatile uint32_t *svr = (volatile uint32_t *)(uintptr_t)(SX_GUEST_XAPIC + 0xf0);

	*svr = 0x1ff; /* software enable, spurious vector 255 */
}

static struct guest_ring open_ring(const struct sx_boot_info *boot, const struct sx_boot_rings *r,
				   unsigned vcpu, uint64_t kick)
{
	struct guest_ring ring = {.boot = boot, .kick = kick};
	uint64_t at = r->base + (uint64_t)vcpu * r->stride;

	sx_producer_init(&ring.p, (struct sx_ring *)(uintptr_t)at, r->order);
	GUEST_ASSERT(ring.p.ring->magic == SX_RING_MAGIC);
	GUEST_ASSERT(ring.p.ring->version == SX_WIRE_VERSION);
	return ring;
}

struct guest_ring guest_request_ring(const struct sx_boot_info *boot, unsigned vcpu)
{
	return open_ring(boot, &boot->requests, vcpu, SX_KICK_REQUESTS(vcpu));
}

struct guest_ring guest_stream_ring(const struct sx_boot_info *boot, unsigned vcpu)
{
	return open_ring(boot, &boot->streams, vcpu, SX_KICK_STREAM(vcpu));
}

_Noreturn void guest_start(const struct sx_boot_info *boot, unsigned vcpu)
{
	if (boot->version != SX_WIRE_VERSION)
		guest_exit(3);
	/* The IDT is one for all; each vCPU writes the same gates. */
	for (unsigned v = 0; v < 256; v++)
		guest_set_gate(v, guest_stubs + 16ul * v);
	unsigned code = (unsigned)guest_main(boot, vcpu);
	if (vcpu == 0)
		guest_exit(code);
	for (;;)
		sx_pause();
}
