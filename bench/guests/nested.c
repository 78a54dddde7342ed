/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest of `splitx bench nested`: an L1 that runs one L2 and handles its exits, with the VMCS
 * accesses that Linux's kvm_intel makes for such an exit.
 */
#include "bench/guests/commands.h"
#include "bench/guests/lib/virtio.h"
#include "bench/guests/lib/vmx.h"

#define REGISTER 0xd0005000ull /* of a device that L1 emulates: EPT12 maps nothing here */
#define PORT     0x99u
#define STACK    16384u
#define RDI      7
#define RSI      6

static const struct sx_boot_info *boot;
static struct sx_bench_page *page;
static struct guest_vmx v;
static volatile uint64_t l2_cycles __attribute__((used)); /* written by L2, in assembly only */
static uint64_t eptp, stack_top, device_value;
static struct sx_vmcs12 *vmcs;

/* ---- L2: RDI says how many operations come before each port write, RSI where ---- */

extern void l2_ports(void);
extern void l2_cpuid(void);
extern void l2_register(void);
extern void l2_passthrough(void);

#define TIMED(NAME, OPERATION)                 \
	NAME ": lfence\n"                      \
	     "   rdtscp\n"                     \
	     "   shlq $32, %rdx\n"             \
	     "   leaq (%rdx,%rax), %r8\n"      \
	     "   movq %rdi, %r9\n"             \
	     "   testq %r9, %r9\n"             \
	     "   jz 2f\n"                      \
	     "1: " OPERATION "\n"              \
	     "   decq %r9\n"                   \
	     "   jnz 1b\n"                     \
	     "2: rdtscp\n"                     \
	     "   shlq $32, %rdx\n"             \
	     "   addq %rdx, %rax\n"            \
	     "   subq %r8, %rax\n"             \
	     "   movq %rax, l2_cycles(%rip)\n" \
	     "   movl $0x99, %edx\n"           \
	     "   outb %al, %dx\n"              \
	     "   jmp " NAME "\n"

__asm__("l2_ports: movl $0x99, %edx\n"
	"1: outb %al, %dx\n"
	"   jmp 1b\n"
	"l2_register: movq (%rsi), %rax\n"
	"   jmp l2_register\n"
	/* clang-format off */
	TIMED("l2_cpuid", "xorl %eax, %eax\n xorl %ecx, %ecx\n cpuid")
	TIMED("l2_passthrough", "incq %r10\n movq %r10, (%rsi)")
	/* clang-format on */
);

/* ---- L2 with a disk: L1 sets it up, and from then on it is L2's (virtio 1.2, 5.2) ---- */

#define BLK_F_FLUSH (1ull << 9)
#define BLK_OK      0

static struct guest_vring disk_ring;
static struct guest_vq disk;
static struct sx_bench_block block;
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} request;
static uint8_t status;
static uint64_t blocks;

/* L2's physical addresses are L1's, so that the device finds what L2's driver names. */
static void give_disk(void)
{
	struct guest_virtio dev;

	GUEST_ASSERT(guest_virtio_find(boot->argument, GUEST_VIRTIO_BLOCK, &dev));
	GUEST_ASSERT(guest_virtio_negotiate(&dev, GUEST_VIRTIO_VERSION_1 | BLK_F_FLUSH));
	disk = guest_vq(&disk_ring, 0, false, 3);
	GUEST_ASSERT(guest_virtio_add_queue(&dev, &disk));
	guest_virtio_start(&dev);
	blocks = guest_virtio_config(&dev, 0) * 512 / SX_BENCH_BLOCK;
	disk_ring.desc[0] =
		(struct guest_desc){(uintptr_t)&request, sizeof(request), GUEST_DESC_NEXT, 1};
	disk_ring.desc[1] = (struct guest_desc){(uintptr_t)&block, SX_BENCH_BLOCK,
						GUEST_DESC_NEXT | GUEST_DESC_WRITE, 2};
	disk_ring.desc[2] = (struct guest_desc){(uintptr_t)&status, 1, GUEST_DESC_WRITE, 0};
	/* A sidecore looks by itself; L2 has no register to notify it by. */
	disk.notify = NULL;
}

static void read_block(uint64_t number)
{
	request.sector = number * (SX_BENCH_BLOCK / 512);
	status = 0xff;
	block.number = ~number;
	guest_vq_offer(&disk, 0);
	guest_vq_publish(&disk);
	while (!guest_vq_take(&disk))
		;
	page->failures += status != BLK_OK || block.number != number ||
			  block.check != (number ^ block.stamp ^ SX_BENCH_MAGIC);
}

static void l2_disk(void)
{
	static uint64_t next;

	for (;;) {
		uint64_t t = tsc_begin();

		for (uint32_t i = 0; i < page->messages; i++)
			read_block(next++ % blocks);
		l2_cycles = tsc_end() - t;
		outb(PORT, 0);
	}
}

/* ---- L1 ---- */

static void new_l2(void (*rip)(void), uint64_t count, uint64_t at)
{
	memset(vmcs, 0, sizeof(*vmcs));
	guest_vmx_load(&v, vmcs);
	guest_vmx_fill(&v, rip, stack_top, eptp);
	v.line->cpu.gpr[RDI] = count;
	v.line->cpu.gpr[RSI] = at;
	v.by_message = (v.line->flags & SX_LINE_KICK_EACH) != 0;
}

static int enter(void)
{
	enum sx_line_op op = vmcs->launched ? SX_LINE_VMRESUME : SX_LINE_VMLAUNCH;

	return guest_vmx_enter(&v, op) == SX_LINE_EXITED;
}

/*
 * What kvm_intel of Linux 6.1 asks of every exit (vmx_vcpu_run), and of one that ends with the
 * instruction skipped (skip_emulated_instruction, and kvm_get_linear_rip for the mode). What it has
 * cached, or sets only when it changes, is left out.
 */
static unsigned look(void)
{
	unsigned reason = (unsigned)guest_vmread(&v, SX_VMCS_EXIT_REASON);

	guest_vmread(&v, SX_VMCS_IDT_VECTORING_INFO);
	return reason;
}

static void skip(uint64_t length)
{
	uint64_t rip = guest_vmread(&v, SX_VMCS_GUEST_RIP);

	guest_vmread(&v, SX_VMCS_GUEST_CS_AR);
	guest_vmread(&v, SX_VMCS_GUEST_RFLAGS);
	guest_vmread(&v, SX_VMCS_GUEST_INTERRUPTIBILITY);
	guest_vmwrite(&v, SX_VMCS_GUEST_RIP, rip + length);
}

static int port_write(void)
{
	if (!enter() || look() != SX_VMEXIT_IO ||
	    (guest_vmread(&v, SX_VMCS_EXIT_QUALIFICATION) >> 16 & 0xffff) != PORT)
		return 0;
	skip(guest_vmread(&v, SX_VMCS_EXIT_INSN_LENGTH));
	return 1;
}

/* The instruction is known: a hypervisor would decode it, without exits. */
static int register_read(void)
{
	if (!enter() || look() != SX_VMEXIT_EPT_VIOLATION ||
	    (guest_vmread(&v, SX_VMCS_EXIT_QUALIFICATION) & 7) != 1 ||
	    guest_vmread(&v, SX_VMCS_GUEST_PHYSICAL) != REGISTER)
		return 0;
	v.line->cpu.gpr[0] = ++device_value;
	skip(3);
	return 1;
}

static uint64_t round_trip(int (*operation)(void))
{
	uint64_t t = tsc_begin();

	page->failures += !operation();
	return tsc_end() - t;
}

static uint64_t by_itself(void)
{
	page->failures += !port_write();
	return l2_cycles;
}

static const uint8_t vmread_rdx_rax[] = {0x0f, 0x78, 0xd0};
static const uint8_t vmwrite_rdx_rax[] = {0x0f, 0x79, 0xd0};

static uint64_t time_handler(const uint8_t *insn)
{
	struct guest_ud_frame frame = {.gpr[2] = SX_VMCS_GUEST_CR3};
	uint64_t t = tsc_begin();

	for (uint32_t i = 0; i < page->messages; i++) {
		frame.rip = (uintptr_t)insn;
		guest_vmx_on_ud(&frame);
	}
	t = tsc_end() - t;
	page->failures += frame.rip != (uintptr_t)insn + 3;
	return t;
}

/* ---- commands ---- */

static void prepare(void)
{
	switch (page->op) {
	case SX_BENCH_L2_CPUID:
		new_l2(l2_cpuid, page->messages, 0);
		break;
	case SX_BENCH_L2_MMIO:
		new_l2(l2_register, 0, REGISTER);
		break;
	case SX_BENCH_L2_PASSTHROUGH:
		new_l2(l2_passthrough, page->messages,
		       boot->twin + __builtin_offsetof(struct sx_testdev_regs, doorbell));
		break;
	case SX_BENCH_L2_BLK:
		new_l2(l2_disk, 0, 0);
		break;
	default:
		new_l2(l2_ports, 0, 0);
	}
}

static uint64_t operate(void)
{
	switch (page->op) {
	case SX_BENCH_L2_NOTHING:
	case SX_BENCH_L2_PIO:
		return round_trip(port_write);
	case SX_BENCH_L2_MMIO:
		return round_trip(register_read);
	case SX_BENCH_L2_CPUID:
	case SX_BENCH_L2_PASSTHROUGH:
	case SX_BENCH_L2_BLK:
		return by_itself();
	case SX_BENCH_VMREAD:
		return time_handler(vmread_rdx_rax);
	case SX_BENCH_VMWRITE:
		return time_handler(vmwrite_rdx_rax);
	default:
		page->failures++;
		return 0;
	}
}

/* EPT12: L1's memory as it is, and the page of the twin, which is given to L2. */
static void make_tables(uint64_t *tables)
{
	eptp = guest_ept_identity(tables, boot->memory);
	guest_ept_map_page(tables, boot->twin);
}

int guest_main(const struct sx_boot_info *info, unsigned vcpu)
{
	uint8_t *free;

	boot = info;
	page = (struct sx_bench_page *)(uintptr_t)boot->heap;
	/* At the other end of the heap; the samples are at this one. */
	free = (uint8_t *)(uintptr_t)(boot->heap_end & ~4095ull) - STACK -
	       (2 + GUEST_EPT_PAGES) * 4096ul;
	stack_top = (uintptr_t)free + STACK - 8;
	vmcs = (struct sx_vmcs12 *)(void *)(free + STACK);
	make_tables((uint64_t *)(void *)(free + STACK + 2 * 4096ul));
	guest_vmx_open(&v, boot, vcpu);
	guest_vmx_on(&v, free + STACK + 4096);
	guest_vmx_trap_ud(&v);
	give_disk();
	for (;;) {
		outl(SX_PORT_YIELD, 0);
		prepare();
		bench_carry_out(page, operate);
	}
}
