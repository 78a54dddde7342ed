// SPDX-License-Identifier: BSD-3-Clause
/*
 * The small decoder that code inside L1 uses, held against the engine's, which is Zydis: each form
 * of each VMX instruction, and what looks like one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/wire/vmx_insn.h"
#include "nested/vmx_decode.h"
#include "tests/unit/test_vmx_world.h"

#define RIP     UINT64_C(0x123456789)
#define FS_BASE UINT64_C(0x111000)
#define GS_BASE UINT64_C(0x222000)

static struct world w;

static const uint16_t line_op[] = {
	[SX_OP_VMXON] = SX_LINE_VMXON,
	[SX_OP_VMXOFF] = SX_LINE_VMXOFF,
	[SX_OP_VMCLEAR] = SX_LINE_VMCLEAR,
	[SX_OP_VMPTRLD] = SX_LINE_VMPTRLD,
	[SX_OP_VMPTRST] = SX_LINE_VMPTRST,
	[SX_OP_VMREAD] = SX_LINE_VMREAD,
	[SX_OP_VMWRITE] = SX_LINE_VMWRITE,
	[SX_OP_VMLAUNCH] = SX_LINE_VMLAUNCH,
	[SX_OP_VMRESUME] = SX_LINE_VMRESUME,
	[SX_OP_INVEPT] = SX_LINE_INVEPT,
	[SX_OP_INVVPID] = SX_LINE_INVVPID,
	[SX_OP_VMCALL] = SX_LINE_VMCALL,
	[SX_OP_VMFUNC] = 0, /* not offered, and so not looked for */
};

static int set_up(void **state)
{
	(void)state;
	world_init(&w);
	w.l1.rip = RIP;
	for (unsigned i = 0; i < SX_GPR_COUNT; i++)
		w.l1.gpr[i] = 0x10000 + 0x1010 * i;
	w.l1.seg[SX_SEG_FS].base = FS_BASE;
	w.l1.seg[SX_SEG_GS].base = GS_BASE;
	return 0;
}

static void same_address(const struct sx_insn *ours, const struct sx_vmx_insn *theirs)
{
	const uint64_t base = ours->segment == 0x64 ? FS_BASE : ours->segment == 0x65 ? GS_BASE : 0;
	struct sx_vmx_result result;
	uint64_t linear;

	assert_true(sx_vmx_operand_linear(&w.vmx.caps, &w.l1, theirs, 8, false, &linear, &result));
	assert_int_equal(base + ours->address, linear);
}

/* Returns 1 if it is an instruction of VMX. */
static unsigned compare(const uint8_t *bytes, unsigned len)
{
	struct sx_vmx_insn theirs;
	struct sx_insn ours;
	bool want = sx_vmx_decode(&w.l1, bytes, len, &theirs) == 0 && line_op[theirs.op];
	int have = sx_insn_decode(bytes, len, RIP, w.l1.gpr, &ours);

	if (have && ours.op == SX_INSN_MOV_CR4)
		return 0; /* the engine's does not know it */
	assert_int_equal(have, want);
	if (!want)
		return 0;
	assert_int_equal(ours.op, line_op[theirs.op]);
	assert_int_equal(ours.length, theirs.length);
	assert_int_equal(ours.memory, theirs.has_rm && !theirs.rm_is_register);
	if (ours.memory)
		same_address(&ours, &theirs);
	else if (theirs.has_rm)
		assert_int_equal(ours.rm, theirs.rm);
	if (theirs.op == SX_OP_VMREAD || theirs.op == SX_OP_VMWRITE || theirs.op == SX_OP_INVEPT ||
	    theirs.op == SX_OP_INVVPID)
		assert_int_equal(ours.reg, theirs.reg);
	return 1;
}

/* All ModR/M bytes, and with each a SIB byte and a displacement, behind @head. */
static unsigned compare_operands(const uint8_t *head, unsigned len)
{
	static const uint8_t tail[] = {0x00, 0x24, 0x65, 0x8d, 0xd3, 0xff};
	unsigned found = 0;
	uint8_t bytes[SX_INSN_MAX] = {0};

	memcpy(bytes, head, len);
	for (unsigned modrm = 0; modrm < 256; modrm++)
		for (unsigned i = 0; i < sizeof(tail); i++) {
			bytes[len] = (uint8_t)modrm;
			bytes[len + 1] = tail[i];
			bytes[len + 2] = 0x70;
			bytes[len + 5] = tail[i] & 0x80 ? 0xff : 0x00;
			found += compare(bytes, len + 6);
		}
	return found;
}

static void each_form_is_decoded_as_zydis_does(void **state)
{
	static const uint8_t prefixes[][2] = {{0},          {0x66},      {0xf2}, {0xf3},
					      {0x64},       {0x65},      {0x3e}, {0x66, 0x65},
					      {0xf3, 0x64}, {0x66, 0xf3}};
	static const uint8_t opcodes[][2] = {{0x01},       {0x78},       {0x79},       {0xc7},
					     {0x38, 0x80}, {0x38, 0x81}, {0x38, 0x82}, {0xc6},
					     {0x77},       {0x20}};
	unsigned found = 0;

	(void)state;
	for (unsigned p = 0; p < sizeof(prefixes) / 2; p++)
		for (unsigned rex = 0x3f; rex < 0x50; rex++)
			for (unsigned o = 0; o < sizeof(opcodes) / 2; o++) {
				uint8_t head[8] = {0};
				unsigned n = 0;

				for (unsigned i = 0; i < 2 && prefixes[p][i]; i++)
					head[n++] = prefixes[p][i];
				if (rex >= 0x40)
					head[n++] = (uint8_t)rex;
				head[n++] = 0x0f;
				for (unsigned i = 0; i < 2 && opcodes[o][i]; i++)
					head[n++] = opcodes[o][i];
				found += compare_operands(head, n);
			}
	assert_true(found > 100000);
}

static void what_is_cut_off_is_nothing(void **state)
{
	static const uint8_t invvpid[] = {0x66, 0x41, 0x0f, 0x38, 0x81, 0x8c, 0x24, 1, 2, 3, 4};
	struct sx_insn insn = {0};

	(void)state;
	for (unsigned len = 0; len < sizeof(invvpid); len++)
		assert_int_equal(sx_insn_decode(invvpid, len, RIP, w.l1.gpr, &insn), 0);
	assert_int_equal(sx_insn_decode(invvpid, sizeof(invvpid), RIP, w.l1.gpr, &insn), 1);
	assert_int_equal(insn.op, SX_LINE_INVVPID);
	assert_int_equal(insn.length, sizeof(invvpid));
	assert_int_equal(insn.address, w.l1.gpr[12] + 0x04030201);
}

static void prefixes_end_at_fifteen_bytes(void **state)
{
	static const uint8_t vmlaunch[] = {0x0f, 0x01, 0xc2};
	uint8_t bytes[18] = {0};
	struct sx_insn insn = {0};

	(void)state;
	memset(bytes, 0x3e, sizeof(bytes));
	memcpy(bytes + 12, vmlaunch, sizeof(vmlaunch));
	assert_int_equal(sx_insn_decode(bytes, 15, RIP, w.l1.gpr, &insn), 1);
	assert_int_equal(insn.length, 15);
	memset(bytes, 0x3e, sizeof(bytes));
	memcpy(bytes + 13, vmlaunch, sizeof(vmlaunch));
	assert_int_equal(sx_insn_decode(bytes, sizeof(bytes), RIP, w.l1.gpr, &insn), 0);
	memset(bytes, 0x3e, sizeof(bytes));
	assert_int_equal(sx_insn_decode(bytes, sizeof(bytes), RIP, w.l1.gpr, &insn), 0);
}

static void a_write_of_cr4_names_its_register(void **state)
{
	static const struct {
		uint8_t bytes[4], length, rm;
	} writes[] = {
		{{0x0f, 0x22, 0xe7}, 3, 7},
		{{0x0f, 0x22, 0x27}, 3, 7}, /* mod is taken as 3: SDM Vol. 2B, MOV */
		{{0x41, 0x0f, 0x22, 0xe4}, 4, 12},
		{{0x48, 0x0f, 0x22, 0xe0}, 4, 0},
	};
	static const uint8_t others[][4] = {
		{0x0f, 0x22, 0xdf},       /* CR3 */
		{0x44, 0x0f, 0x22, 0xe0}, /* CR12, which is none */
		{0x0f, 0x20, 0xe7},       /* a read */
	};
	struct sx_insn insn = {0};

	(void)state;
	for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		assert_int_equal(sx_insn_decode(writes[i].bytes, 4, RIP, w.l1.gpr, &insn), 1);
		assert_int_equal(insn.op, SX_INSN_MOV_CR4);
		assert_int_equal(insn.length, writes[i].length);
		assert_int_equal(insn.rm, writes[i].rm);
		assert_int_equal(insn.memory, 0);
	}
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(sx_insn_decode(others[i], 4, RIP, w.l1.gpr, &insn), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_decoded_as_zydis_does),
		cmocka_unit_test(what_is_cut_off_is_nothing),
		cmocka_unit_test(prefixes_end_at_fifteen_bytes),
		cmocka_unit_test(a_write_of_cr4_names_its_register),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
