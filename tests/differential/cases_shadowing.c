// SPDX-License-Identifier: BSD-3-Clause
/* VMCS shadowing: L2's VMREAD and VMWRITE of the VMCS that the link pointer names, SDM 3C 25.6.15.
 */
#include "tests/differential/cases.h"

static const uint8_t vmread_rbx[] = {0x0f, 0x78, 0xc3};
static const uint8_t vmwrite_rbx[] = {0x0f, 0x79, 0xc3};

static void with_pointer(const uint8_t *code, unsigned length, uint64_t pointer)
{
	uint64_t gpr[GPRS] = {[RAX] = AT_OPERAND};
	struct diff_host host;

	*(uint64_t *)diff_at(AT_OPERAND) = pointer;
	(void)diff_execute(code, length, gpr, &host);
}

/* A shadow VMCS with values of its own; no VMCS is current afterwards. */
static void make_shadow(void)
{
	static const uint8_t vmclear[] = {0x66, 0x0f, 0xc7, 0x30};
	static const uint8_t vmptrld[] = {0x0f, 0xc7, 0x30};
	uint64_t basic = 0;

	(void)diff_rdmsr(SX_MSR_VMX_BASIC, &basic);
	*(uint32_t *)diff_at(AT_SHADOW) = (uint32_t)basic | SX_VMCS12_SHADOW;
	with_pointer(vmclear, sizeof(vmclear), AT_SHADOW);
	with_pointer(vmptrld, sizeof(vmptrld), AT_SHADOW);
	(void)diff_vmwrite(SX_VMCS_GUEST_RIP, UINT64_C(0x1122334455667788));
	(void)diff_vmwrite(SX_VMCS_GUEST_CS_SEL, 0x1234);
	(void)diff_vmwrite(SX_VMCS_TSC_OFFSET, UINT64_C(0x8877665544332211));
	(void)diff_vmwrite(SX_VMCS_EXIT_REASON, 0x55);
	with_pointer(vmclear, sizeof(vmclear), AT_SHADOW);
}

/* 25.6.15: a bit for each of 32768 encodings; 1 lets the instruction exit. */
static void set_bitmaps(uint32_t encoding, bool exits)
{
	uint8_t *read = (uint8_t *)diff_at(AT_VMREAD) + encoding / 8;
	uint8_t *write = (uint8_t *)diff_at(AT_VMWRITE) + encoding / 8;

	*read = *write = (uint8_t)(exits ? 1 << encoding % 8 : 0);
}

static void access(const char *what, uint64_t encoding, uint64_t link, bool write)
{
	struct diff_case c =
		diff_case("shadowing/%s-%x%s", write ? "write" : "read", encoding, what);
	uint64_t gpr[GPRS] = {[RAX] = encoding, [RBX] = UINT64_C(0xfedcba9876543210)};
	struct diff_vmcs v;

	make_shadow();
	diff_base(&v);
	diff_or_cpu2(&v, SX_CPU2_VMCS_SHADOW);
	diff_or(&v, SX_VMCS_GUEST_RFLAGS, SX_X86_RFLAGS_ARITH);
	diff_set(&v, SX_VMCS_LINK_POINTER, link);
	diff_launch(&c, &v, write ? vmwrite_rbx : vmread_rbx, 3, gpr);
}

/* What L2 has written is in the shadow VMCS. */
static void read_back(uint32_t encoding)
{
	static const uint8_t vmptrld[] = {0x0f, 0xc7, 0x30};
	uint64_t value;

	with_pointer(vmptrld, sizeof(vmptrld), AT_SHADOW);
	if (diff_vmread(encoding, &value))
		diff_say("shadowing/write-%x+shadow: %x\n", (uint64_t)encoding, value);
}

void diff_cases_shadowing(void)
{
	static const uint32_t fields[] = {SX_VMCS_GUEST_RIP,   SX_VMCS_GUEST_CS_SEL,
					  SX_VMCS_TSC_OFFSET,  SX_VMCS_TSC_OFFSET | 1,
					  SX_VMCS_EXIT_REASON, 0x7ffe};
	static const uint64_t beyond[] = {0x8000 | SX_VMCS_GUEST_CS_SEL,
					  UINT64_C(1) << 32 | SX_VMCS_GUEST_RIP,
					  UINT64_C(1) << 63 | SX_VMCS_GUEST_RIP};

	for (unsigned i = 0; i < DIFF_COUNT(fields); i++) {
		for (unsigned write = 0; write < 2; write++) {
			set_bitmaps(fields[i], true);
			access("-bit", fields[i], AT_SHADOW, write);
			set_bitmaps(fields[i], false);
			access("-no-link", fields[i], UINT64_MAX, write);
			access("", fields[i], AT_SHADOW, write);
		}
		read_back(fields[i]);
	}
	for (unsigned i = 0; i < DIFF_COUNT(beyond); i++) {
		access("", beyond[i], AT_SHADOW, false);
		access("", beyond[i], AT_SHADOW, true);
	}
}
