/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hypervisor whose L2 reads and writes MSRs, so at CPL 0: which accesses exit is what L1's MSR
 * bitmap says. The argument is how often each thing is done. With a second vCPU, that one's L2
 * shares L1's EPT but not its bitmap.
 */
#include "tests/guests/l1.h"

#define KERNEL_GS_BASE 0xc0000102u
#define STAR           0xc0000081u
#define EFER_MSR       0xc0000080u
#define NOBODYS        0x1abcu     /* in the bitmap's range, and no MSR */
#define BEYOND         0x40000000u /* in neither of its ranges */
#define READ_HIGH      1024u       /* parts of the bitmap: SDM 3C 25.6.9 */
#define WRITE_LOW      2048u
#define WRITE_HIGH     3072u
#define GP_INFO        0x80000b0du /* valid, error code, hardware exception, 13 */
#define RAX            0
#define RCX            1
#define RDX            2

/* MSR ECX to EDX:EAX, or the other way, and then a port that says so. */
extern void l2_rdmsr(void), l2_wrmsr(void);
extern const uint8_t l2_read[], l2_write[];

__asm__("l2_rdmsr:\n"
	"l2_read: rdmsr\n"
	"   outb %al, $0x97\n"
	"   jmp l2_rdmsr\n"
	"l2_wrmsr:\n"
	"l2_write: wrmsr\n"
	"   outb %al, $0x96\n"
	"   jmp l2_wrmsr\n");

static struct l1 l1[2];
static uint64_t shared_eptp;
static uint32_t second_is_in; /* its L2 has exited by what only its own L1 asked for */

/* @bitmap NULL: none. */
static void begin(struct l1 *l, void (*rip)(void), const uint8_t *bitmap)
{
	uint64_t controls;

	l1_begin(l, rip);
	l1_supervisor(l);
	guest_vmwrite(&l->v, SX_VMCS_EXCEPTION_BITMAP, 1u << 13);
	if (!bitmap)
		return;
	controls = guest_vmread(&l->v, SX_VMCS_CPU_CONTROLS);
	guest_vmwrite(&l->v, SX_VMCS_CPU_CONTROLS, controls | SX_CPU_MSR_BITMAPS);
	guest_vmwrite(&l->v, SX_VMCS_MSR_BITMAP, (uintptr_t)bitmap);
}

static void operands(struct l1 *l, uint32_t index, uint64_t value)
{
	*l1_gpr(l, RCX) = index;
	*l1_gpr(l, RAX) = (uint32_t)value;
	*l1_gpr(l, RDX) = value >> 32;
}

static uint64_t operand(struct l1 *l)
{
	return *l1_gpr(l, RDX) << 32 | (uint32_t)*l1_gpr(l, RAX);
}

static void set_bit(uint8_t *bitmap, unsigned part, uint32_t index, int value)
{
	uint8_t *byte = bitmap + part + (index & 0x1fff) / 8;
	uint8_t bit = (uint8_t)(1u << index % 8);

	*byte = (uint8_t)(value ? *byte | bit : *byte & ~bit);
}

/* L2 is at @insn, which is of MSR @index. */
static void exits(struct l1 *l, unsigned reason, const uint8_t *insn, uint32_t index)
{
	l1_enter(l, reason);
	GUEST_ASSERT(guest_vmread(&l->v, SX_VMCS_GUEST_RIP) == (uintptr_t)insn);
	GUEST_ASSERT(guest_vmread(&l->v, SX_VMCS_EXIT_INSN_LENGTH) == 2);
	GUEST_ASSERT(*l1_gpr(l, RCX) == index);
}

/* L2's instruction was done without L1. */
static void passes(struct l1 *l)
{
	l1_enter(l, SX_VMEXIT_IO);
	l1_skip(l);
}

/* Every access exits, of MSRs that there are and of others. */
static void without_bitmap(struct l1 *l, uint64_t count)
{
	static const uint32_t index[] = {KERNEL_GS_BASE, 0x10, NOBODYS, BEYOND, 0xc0001fff, ~0u};

	for (unsigned k = 0; k < sizeof(index) / sizeof(index[0]); k++) {
		begin(l, l2_rdmsr, NULL);
		for (uint64_t i = 1; i <= count; i++) {
			operands(l, index[k], 0);
			exits(l, SX_VMEXIT_RDMSR, l2_read, index[k]);
			operands(l, index[k], i << 32 | k);
			l1_skip(l);
			passes(l);
			GUEST_ASSERT(operand(l) == (i << 32 | k));
		}
		begin(l, l2_wrmsr, NULL);
		operands(l, index[k], 0x1234567887654321);
		exits(l, SX_VMEXIT_WRMSR, l2_write, index[k]);
		GUEST_ASSERT(operand(l) == 0x1234567887654321);
	}
}

/* What L1 lets through is L2's own, and no exit. */
static void let_through(struct l1 *l, uint8_t *bitmap, uint64_t count)
{
	memset(bitmap, 0, 4096);
	begin(l, l2_wrmsr, bitmap);
	for (uint64_t i = 1; i <= count; i++) {
		operands(l, KERNEL_GS_BASE, i << 12);
		passes(l);
		guest_vmwrite(&l->v, SX_VMCS_GUEST_RIP, (uintptr_t)l2_read);
		operands(l, KERNEL_GS_BASE, 0);
		passes(l);
		GUEST_ASSERT(operand(l) == i << 12);
		guest_vmwrite(&l->v, SX_VMCS_GUEST_RIP, (uintptr_t)l2_write);
	}
	operands(l, BEYOND, 0);
	exits(l, SX_VMEXIT_WRMSR, l2_write, BEYOND);
}

/* Of reads and writes, low and high MSRs, exactly those whose bit is set; the bits may change. */
static void bit_by_bit(struct l1 *l, uint8_t *bitmap, uint64_t count)
{
	memset(bitmap, 0, 4096);
	begin(l, l2_wrmsr, bitmap);
	for (uint64_t i = 0; i < count; i++) {
		set_bit(bitmap, WRITE_HIGH, STAR, i % 2 == 0);
		set_bit(bitmap, READ_HIGH, STAR, i % 2 != 0);
		operands(l, STAR, i << 32);
		if (i % 2 == 0) {
			exits(l, SX_VMEXIT_WRMSR, l2_write, STAR);
			l1_skip(l);
		}
		passes(l);
		guest_vmwrite(&l->v, SX_VMCS_GUEST_RIP, (uintptr_t)l2_read);
		operands(l, STAR, 0);
		if (i % 2 == 0) {
			passes(l);
		} else {
			exits(l, SX_VMEXIT_RDMSR, l2_read, STAR);
		}
		guest_vmwrite(&l->v, SX_VMCS_GUEST_RIP, (uintptr_t)l2_write);
	}
	set_bit(bitmap, WRITE_LOW, 0x174, 1);
	operands(l, 0x174, 0);
	exits(l, SX_VMEXIT_WRMSR, l2_write, 0x174);
}

/* L1 lets it through, but there is no such MSR, or not with that value. */
static void refused(struct l1 *l, uint8_t *bitmap)
{
	memset(bitmap, 0, 4096);
	begin(l, l2_rdmsr, bitmap);
	operands(l, NOBODYS, 0);
	l1_enter(l, SX_VMEXIT_EXCEPTION_NMI);
	GUEST_ASSERT(guest_vmread(&l->v, SX_VMCS_EXIT_INTR_INFO) == GP_INFO);
	GUEST_ASSERT(guest_vmread(&l->v, SX_VMCS_EXIT_ERROR_CODE) == 0);
	GUEST_ASSERT(guest_vmread(&l->v, SX_VMCS_GUEST_RIP) == (uintptr_t)l2_read);
	begin(l, l2_wrmsr, bitmap);
	operands(l, EFER_MSR, 2); /* a reserved bit, and an MSR no guest has to itself */
	l1_enter(l, SX_VMEXIT_EXCEPTION_NMI);
	GUEST_ASSERT(guest_vmread(&l->v, SX_VMCS_EXIT_INTR_INFO) == GP_INFO);
	GUEST_ASSERT(guest_vmread(&l->v, SX_VMCS_GUEST_RIP) == (uintptr_t)l2_write);
}

/* Its EPT is the first vCPU's, and with it the VM; of MSRs its L1 wants them all. */
static void second(struct l1 *l)
{
	while (!__atomic_load_n(&shared_eptp,
				__ATOMIC_ACQUIRE)) /* with beside_second()'s release */
		;
	l->eptp = shared_eptp;
	begin(l, l2_wrmsr, NULL);
	operands(l, KERNEL_GS_BASE, 0);
	exits(l, SX_VMEXIT_WRMSR, l2_write, KERNEL_GS_BASE);
	__atomic_store_n(&second_is_in, 1, __ATOMIC_RELEASE); /* with beside_second()'s acquire */
}

static void first(struct l1 *l, uint64_t count)
{
	uint8_t *bitmap = l1_pages(l, 1);

	without_bitmap(l, count);
	let_through(l, bitmap, count);
	bit_by_bit(l, bitmap, count);
	refused(l, bitmap);
}

static void beside_second(struct l1 *l, uint64_t count)
{
	__atomic_store_n(&shared_eptp, l->eptp,
			 __ATOMIC_RELEASE);                       /* with the acquire in second() */
	while (!__atomic_load_n(&second_is_in, __ATOMIC_ACQUIRE)) /* with the release there */
		;
	first(l, count);
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	uint64_t count = boot->argument ? boot->argument : 1;
	struct l1 *l = &l1[vcpu];

	l1_open(l, boot, vcpu);
	if (vcpu == 1) {
		second(l);
		return 0;
	}
	first(l, count);
	if (boot->vcpus == 2)
		beside_second(l, count);
	l1_close(l);
	guest_puts("all well\n");
	return 0;
}
