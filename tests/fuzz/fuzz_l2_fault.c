// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: an L2 that faults with any instruction, registers, pending event, tables and EPT12.
 *
 * Input: 1 byte of mode, 1 of what else there is, the event (4 + 4 bytes), 1 byte of where in its
 * page the code lies, 15 of the instruction, 4 registers of 8 bytes (RBX, RSP, RSI, RDI), then
 * changes of 2 + 8 bytes to L2's memory and to the structures of EPT12.
 *
 * Whatever they say, the answers end: each mapping maps something new, an exit is one of EPT's.
 */
#include "tests/support/fuzz_input.h"
#include "tests/unit/test_l2_world.h"

#define EPT_BYTES 0x4000u
#define MAX_TRIES (L2_PAGES * 8 + 64) /* rights of a page, flags of EPT12's entries */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_mode(struct world *w, uint8_t mode)
{
	static const uint64_t roots[] = {NO_AD_EPTP, WORLD_EPTP, 0, WORLD_EPTP};
	struct sx_vmx_cpu *cpu = &w->l2.cpu;

	if (mode & 3)
		leave_long_mode(cpu, (mode & 3) == 1);
	if ((mode & 3) == 3)
		cpu->cr0 &= ~SX_X86_CR0_PE;
	else if ((mode & 3) && (mode & 4))
		cpu->cr0 |= SX_X86_CR0_PG; /* of 32 bits, or PAE */
	if (mode & 8)
		cpu->cr4 ^= SX_X86_CR4_PAE | SX_X86_CR4_PSE;
	if (mode & 16)
		cpu->cr4 |= SX_X86_CR4_SMEP | SX_X86_CR4_SMAP;
	if (mode & 32)
		set_cpl(cpu, 0);
	for (unsigned i = 0; i < 4; i++)
		cpu->pdpte[i] = L2_PDPT | 1;
	w->l2.eptp = roots[mode >> 6];
}

static void set_state(struct world *w, struct fuzz_input *in)
{
	static const uint8_t registers[] = {SX_RBX, SX_RSP, SX_RSI, SX_RDI};
	struct sx_vmx_cpu *cpu = &w->l2.cpu;

	w->l2.event.info = (uint32_t)fuzz_take(in, 4);
	w->l2.event.error_code = (uint32_t)fuzz_take(in, 4);
	cpu->rip = L2_CODE + (fuzz_take(in, 1) << 4 | 0xa);
	for (unsigned i = 0; i < 15; i++)
		w->mem[L2_IN_L1 + cpu->rip + i] = (uint8_t)fuzz_take(in, 1);
	for (unsigned i = 0; i < sizeof(registers); i++)
		cpu->gpr[registers[i]] = fuzz_take(in, 8);
	while (in->left) {
		size_t at = fuzz_take(in, 2) * 8 % (EPT_BYTES + L2_BYTES);

		put64(w, at < EPT_BYTES ? AT_EPT + at : L2_IN_L1 + (at - EPT_BYTES),
		      fuzz_take(in, 8));
	}
}

static void check_exit(const struct sx_vmx_exit *x)
{
	switch (x->reason) {
	case SX_VMEXIT_EPT_VIOLATION:
		fuzz_require(x->qualification & 7); /* some access */
		fuzz_require(x->qualification & 7 & ~(x->qualification >> 3));
		break;
	case SX_VMEXIT_EPT_MISCONFIG:
	case SX_VMEXIT_PML_FULL:
		break;
	default:
		fuzz_require(false);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct fuzz_input in = {data, size};
	const struct sx_l2_hint hint = {.gpa = L2_A, .access = SX_ACCESS_WRITE};
	enum sx_l2_fault_outcome outcome;
	struct sx_vmx_exit x;
	struct sx_l2_vm vm;
	unsigned tries = 0;
	uint8_t what;

	fuzz_require(start_l2(&w, &vm));
	set_mode(&w, (uint8_t)fuzz_take(&in, 1));
	what = (uint8_t)fuzz_take(&in, 1);
	set_state(&w, &in);
	vm.has_all = what & 1;
	vm.walks_in_software = what & 2;
	vm.error = what & 4 ? -ENOMEM : 0;
	sx_l2_map_tables(&w.vmx, &vm, &w.l2);
	do {
		outcome =
			sx_l2_fault(&w.vmx, &vm, l2_decoder(), &w.l2, what & 8 ? &hint : NULL, &x);
		fuzz_require(tries++ < MAX_TRIES);
	} while (outcome == SX_L2_FAULT_MAPPED);
	if (outcome == SX_L2_FAULT_EXIT)
		check_exit(&x);
	return 0;
}
