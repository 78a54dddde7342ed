// SPDX-License-Identifier: BSD-3-Clause
/* The machine of machine.h on bare metal. */
#include "tests/differential/machine.h"

#define COM1      0x3f8
#define COM1_LSR  (COM1 + 5)
#define LSR_EMPTY 0x20
#define PIC1_DATA 0x21
#define PIC2_DATA 0xa1

#define MSR_KERNEL_GS_BASE 0xc0000102u

struct table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct gate {
	uint16_t low, selector;
	uint16_t type; /* and IST */
	uint16_t middle;
	uint32_t high, reserved;
};

/* In start.S, which has no C around it and so keeps its state in memory. */
extern const uint8_t bare_stubs[32][16], bare_next[], bare_exit[], pml4[], stack_end[], tss[];
extern const struct table bare_gdtr;
extern uint64_t bare_gpr[GPRS], bare_rflags, bare_vector, bare_error, bare_rip, bare_cr2;

enum diff_kind bare_run(uint64_t code, uint64_t cs, uint64_t ss);
void bare_main(void);

static struct gate idt[32];
static const struct table idtr = {sizeof(idt) - 1, (uintptr_t)idt};

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static uint64_t rdmsr(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static void wrmsr(uint32_t index, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

#define READ_REGISTER(name)                                            \
	__extension__({                                                \
		uint64_t value_;                                       \
		__asm__ volatile("mov %%" name ", %0" : "=r"(value_)); \
		value_;                                                \
	})
#define WRITE_REGISTER(name, value) \
	__asm__ volatile("mov %0, %%" name : : "r"((uint64_t)(value)) : "memory")

void diff_put(char c)
{
	while (!(in8(COM1_LSR) & LSR_EMPTY))
		;
	out8(COM1, (uint8_t)c);
}

void *diff_at(uint64_t gpa)
{
	return (void *)gpa;
}

void diff_way_back(struct diff_way_back *back)
{
	back->rip = (uintptr_t)bare_exit;
	back->rsp = (uintptr_t)stack_end - 0x8000; /* deep below what C uses */
	back->cr3 = (uintptr_t)pml4;
	back->gdtr = bare_gdtr.base;
	back->idtr = (uintptr_t)idt;
	back->tr = (uintptr_t)tss;
}

bool diff_rdmsr(uint32_t index, uint64_t *value)
{
	static const uint8_t code[] = {0x0f, 0x32}; /* RDMSR */
	uint64_t gpr[GPRS] = {[RCX] = index};
	struct diff_host host;

	if (diff_execute(code, sizeof(code), gpr, &host).kind != DIFF_NEXT)
		return false;
	*value = gpr[RDX] << 32 | (uint32_t)gpr[RAX];
	return true;
}

unsigned diff_maxphyaddr(void)
{
	uint32_t eax = 0x80000008, ebx, ecx, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	return eax & 0xff;
}

bool diff_vmread(uint32_t encoding, uint64_t *value)
{
	uint64_t field;
	bool ok;

	__asm__ volatile("vmread %2, %0; seta %1"
			 : "=r"(field), "=q"(ok)
			 : "r"((uint64_t)encoding)
			 : "cc");
	if (ok)
		*value = field;
	return ok;
}

bool diff_vmwrite(uint32_t encoding, uint64_t value)
{
	bool ok;

	__asm__ volatile("vmwrite %1, %2; seta %0"
			 : "=q"(ok)
			 : "r"(value), "r"((uint64_t)encoding)
			 : "cc", "memory");
	return ok;
}

static void read_tables(struct diff_host *host)
{
	struct table gdtr, now;

	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdtr), "=m"(now));
	host->word[HOST_WORD_GDTR_BASE] = gdtr.base;
	host->word[HOST_WORD_GDTR_LIMIT] = gdtr.limit;
	host->word[HOST_WORD_IDTR_BASE] = now.base;
	host->word[HOST_WORD_IDTR_LIMIT] = now.limit;
}

static void read_selectors(struct diff_host *host)
{
	uint16_t tr, ldtr;

	__asm__ volatile("str %0; sldt %1" : "=r"(tr), "=r"(ldtr));
	host->word[HOST_WORD_ES] = READ_REGISTER("es");
	host->word[HOST_WORD_CS] = READ_REGISTER("cs");
	host->word[HOST_WORD_SS] = READ_REGISTER("ss");
	host->word[HOST_WORD_DS] = READ_REGISTER("ds");
	host->word[HOST_WORD_FS] = READ_REGISTER("fs");
	host->word[HOST_WORD_GS] = READ_REGISTER("gs");
	host->word[HOST_WORD_TR] = tr;
	host->word[HOST_WORD_LDTR] = ldtr;
}

static void read_host(struct diff_host *host)
{
	uint64_t *word = host->word;

	word[HOST_WORD_CR0] = READ_REGISTER("cr0");
	word[HOST_WORD_CR3] = READ_REGISTER("cr3");
	word[HOST_WORD_CR4] = READ_REGISTER("cr4");
	word[HOST_WORD_DR7] = READ_REGISTER("dr7");
	word[HOST_WORD_RSP] = bare_gpr[RSP];
	word[HOST_WORD_RFLAGS] = bare_rflags;
	word[HOST_WORD_EFER] = rdmsr(SX_MSR_EFER);
	word[HOST_WORD_PAT] = rdmsr(SX_MSR_PAT);
	word[HOST_WORD_DEBUGCTL] = rdmsr(SX_MSR_DEBUGCTL);
	word[HOST_WORD_SYSENTER_CS] = rdmsr(SX_MSR_SYSENTER_CS);
	word[HOST_WORD_SYSENTER_ESP] = rdmsr(SX_MSR_SYSENTER_ESP);
	word[HOST_WORD_SYSENTER_EIP] = rdmsr(SX_MSR_SYSENTER_EIP);
	word[HOST_WORD_FS_BASE] = rdmsr(SX_MSR_FS_BASE);
	word[HOST_WORD_GS_BASE] = rdmsr(SX_MSR_GS_BASE);
	word[HOST_WORD_KERNEL_GS_BASE] = rdmsr(MSR_KERNEL_GS_BASE);
	read_selectors(host);
	read_tables(host);
}

/* IRET to where we are: NMIs that an entry or exit has blocked are blocked no more. */
static void unblock_nmis(void)
{
	__asm__ volatile("mov %%rsp, %%rax\n\t"
			 "pushq %0\n\t"
			 "pushq %%rax\n\t"
			 "pushfq\n\t"
			 "pushq %1\n\t"
			 "pushq $1f\n\t"
			 "iretq\n"
			 "1:"
			 :
			 : "i"(DIFF_DATA_SEL), "i"(DIFF_CODE_SEL)
			 : "rax", "memory");
}

/* Whatever host state a case has chosen, the next begins as the first did. */
static void restore(void)
{
	WRITE_REGISTER("cr0", DIFF_CR0);
	WRITE_REGISTER("cr3", (uintptr_t)pml4);
	WRITE_REGISTER("cr4", DIFF_CR4);
	wrmsr(SX_MSR_EFER, DIFF_EFER);
	wrmsr(SX_MSR_PAT, UINT64_C(0x0007040600070406));
	wrmsr(SX_MSR_SYSENTER_CS, 0);
	wrmsr(SX_MSR_SYSENTER_ESP, 0);
	wrmsr(SX_MSR_SYSENTER_EIP, 0);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	__asm__ volatile("lgdt %0; lidt %1" : : "m"(bare_gdtr), "m"(idtr));
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %0, %%fs; mov %0, %%gs"
			 :
			 : "r"((uint32_t)DIFF_DATA_SEL)
			 : "memory");
	unblock_nmis();
}

struct diff_end diff_execute_in(enum diff_mode mode, const uint8_t *code, unsigned length,
				uint64_t gpr[GPRS], struct diff_host *host)
{
	static const uint16_t cs[] = {DIFF_CODE_SEL, DIFF_CODE32, DIFF_USERCODE};
	static const uint16_t ss[] = {DIFF_DATA_SEL, DIFF_DATA_SEL, DIFF_USERDATA};
	uint8_t *at = diff_at(AT_CODE);
	uint64_t back = (uintptr_t)bare_next;
	struct diff_end end = {0};
	unsigned i;

	for (i = 0; i < length; i++)
		at[i] = code[i];
	/* jmp *0(%rip), and behind it where to */
	at[i++] = 0xff;
	at[i++] = 0x25;
	for (unsigned n = 0; n < 4; n++)
		at[i++] = 0;
	for (unsigned n = 0; n < 8; n++)
		at[i++] = (uint8_t)(back >> 8 * n);
	for (unsigned n = 0; n < GPRS; n++)
		bare_gpr[n] = gpr[n];
	end.kind = bare_run(AT_CODE, cs[mode], ss[mode]);
	for (unsigned n = 0; n < GPRS; n++)
		gpr[n] = n == RSP ? gpr[n] : bare_gpr[n];
	end.rflags = bare_rflags;
	end.vector = (uint32_t)bare_vector;
	end.error = (uint32_t)bare_error;
	end.rip = bare_rip;
	end.cr2 = bare_cr2;
	if (end.kind == DIFF_EXIT)
		read_host(host);
	if (end.kind != DIFF_NEXT)
		restore();
	return end;
}

static void set_up_idt(void)
{
	for (unsigned i = 0; i < 32; i++) {
		uint64_t to = (uintptr_t)bare_stubs[i];

		idt[i] = (struct gate){
			.low = (uint16_t)to,
			.selector = DIFF_CODE_SEL,
			.type = 0x8e00,
			.middle = (uint16_t)(to >> 16),
			.high = (uint32_t)(to >> 32),
		};
	}
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

static void say(const char *text)
{
	while (*text)
		diff_put(*text++);
}

void bare_main(void)
{
	uint64_t control;

	set_up_idt();
	out8(PIC1_DATA, 0xff); /* no interrupt comes from outside */
	out8(PIC2_DATA, 0xff);
	WRITE_REGISTER("cr4", DIFF_CR4);
	control = rdmsr(SX_MSR_FEATURE_CONTROL);
	if (!(control & SX_FEATURE_CONTROL_LOCK))
		wrmsr(SX_MSR_FEATURE_CONTROL, SX_FEATURE_CONTROL_LOCK | SX_FEATURE_CONTROL_VMXON);
	restore();
	diff_run_all();
	say("SPLITX-LAB-EXIT 0\n");
}
