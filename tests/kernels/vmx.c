// SPDX-License-Identifier: BSD-3-Clause
/*
 * A Multiboot kernel that looks for the VMX of splitx run --nested (ipc/wire/vmx_line.h): says on
 * the serial port what CPUID shows, what the capability MSRs read, which accesses raise #GP, and
 * what the first line says; then it switches the machine off.
 */
#include <stdint.h>

#include "guestcore/pc_map.h"
#include "ipc/wire/vmx_line.h"

/*
 * The loader enters here in 32-bit protected mode without paging. A #GP of RDMSR or WRMSR is
 * counted and stepped over, without IRET, which a KVM that emulates CPL 0 does not know.
 */
__asm__(".text\n"
	".align 4\n"
	".long 0x1badb002, 0, -0x1badb002\n"
	".globl _start\n"
	"_start: movl $stack_end, %esp\n"
	"	cld\n"
	"	call kernel\n"
	"fault:	incl faults\n"
	"	addl $4, %esp\n" /* the error code */
	"	popl resume\n"
	"	addl $8, %esp\n" /* CS, EFLAGS */
	"	addl $2, resume\n"
	"	jmp *resume\n"
	".bss\n"
	".align 16\n"
	".skip 4096\n"
	"stack_end:\n"
	".text\n");

void fault(void);
uint32_t faults, resume;

#define GP              13
#define INTERRUPT_GATE  0x8e00u
#define FEATURE_CONTROL 0x3au
#define FEATURE_VMX     5u /* locked, VMX outside SMX: SDM Vol. 4, table 2-2 */

static struct {
	uint16_t low, selector, flags, high;
} idt[GP + 1];

static void out(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void say(const char *text)
{
	while (*text)
		out(SX_PC_UART, (uint8_t)*text++);
}

static void say_hex(const char *name, uint32_t value)
{
	char digits[9];

	for (int i = 7; i >= 0; i--, value >>= 4)
		digits[i] = "0123456789abcdef"[value & 15];
	digits[8] = 0;
	say(name);
	say(" ");
	say(digits);
	say("\n");
}

static _Noreturn void power_off(void)
{
	out(SX_PC_POWER_SLEEP, SX_PC_S5_TYPE << 2 | 1 << 5);
	for (;;)
		;
}

static uint64_t rdmsr(uint32_t index)
{
	uint64_t value = 0;

	__asm__ volatile("rdmsr" : "+A"(value) : "c"(index) : "memory");
	return value;
}

static void wrmsr(uint32_t index, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "A"(value), "c"(index) : "memory");
}

static uint32_t faults_so_far(void)
{
	return *(volatile uint32_t *)&faults;
}

static void catch_gp(void)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) idtr = {sizeof(idt) - 1, (uint32_t)idt};
	uint32_t at = (uint32_t)fault;
	uint16_t cs;

	__asm__("mov %%cs, %0" : "=r"(cs));
	idt[GP].low = (uint16_t)at;
	idt[GP].high = (uint16_t)(at >> 16);
	idt[GP].selector = cs;
	idt[GP].flags = INTERRUPT_GATE;
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

static void look_at_cpuid(void)
{
	uint32_t a, b, c, d;
	char name[13] = {0};

	__asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0));
	for (int i = 0; i < 4; i++) {
		name[i] = (char)(b >> 8 * i);
		name[4 + i] = (char)(d >> 8 * i);
		name[8 + i] = (char)(c >> 8 * i);
	}
	say(name);
	say("\n");
	__asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1));
	say_hex("vmx", c >> 5 & 1);
	__asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(SX_LINE_CPUID_PLACE));
	say_hex("version", a);
	say_hex("lines", b);
	say_hex("at", c);
}

static void look_at_msrs(void)
{
	say_hex("revision", (uint32_t)rdmsr(SX_MSR_VMX_BASIC));
	say_hex("control", (uint32_t)rdmsr(FEATURE_CONTROL));
	wrmsr(FEATURE_CONTROL, FEATURE_VMX);
	say_hex("control", (uint32_t)rdmsr(FEATURE_CONTROL));
	say_hex("faults", faults_so_far());
	wrmsr(FEATURE_CONTROL, 0);  /* it is locked */
	wrmsr(SX_MSR_VMX_BASIC, 0); /* read-only */
	rdmsr(SX_MSR_VMX_VMFUNC);   /* not offered */
	say_hex("faults", faults_so_far());
}

void kernel(void);
void kernel(void)
{
	const struct sx_vmx_line *line = (const void *)SX_PC_VMX_LINES;

	catch_gp();
	look_at_cpuid();
	look_at_msrs();
	say_hex("kick", (uint32_t)line->kick);
	say_hex("on", line->on);
	power_off();
}
