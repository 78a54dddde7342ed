// SPDX-License-Identifier: BSD-3-Clause
/*
 * The small decoder that code inside L1 uses, held against the engine's, which is Zydis: each form
 * of each VMX instruction, and what looks like one. tests/fuzz/fuzz_vmx_guest_insn.c takes any
 * bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/insn_diff.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct sx_vmx_cpu cpu;

static int set_up(void **state)
{
	(void)state;
	insn_diff_cpu(&cpu, 0);
	return 0;
}

/* Both decoders say the same of these bytes, which is @ours. */
static void compare(const uint8_t *bytes, unsigned len, struct sx_insn *ours)
{
	const char *differs = insn_diff(&cpu, bytes, len, ours);

	if (!differs)
		return;
	for (unsigned i = 0; i < len; i++)
		print_error("%02x ", bytes[i]);
	fail_msg("the decoders differ: %s", differs);
}

/* All ModR/M bytes, and with each a SIB byte and a displacement, behind @head; how many are ours.
 */
static unsigned compare_operands(const uint8_t *head, unsigned len)
{
	static const uint8_t tail[] = {0x00, 0x24, 0x65, 0x8d, 0xd3, 0xff};
	unsigned found = 0;
	uint8_t bytes[SX_INSN_MAX] = {0};
	struct sx_insn insn;

	memcpy(bytes, head, len);
	for (unsigned modrm = 0; modrm < 256; modrm++)
		for (unsigned i = 0; i < sizeof(tail); i++) {
			bytes[len] = (uint8_t)modrm;
			bytes[len + 1] = tail[i];
			bytes[len + 2] = 0x70;
			bytes[len + 5] = tail[i] & 0x80 ? 0xff : 0x00;
			compare(bytes, len + 6, &insn);
			found += insn.op != 0;
		}
	return found;
}

static void each_form_is_decoded_as_zydis_does(void **state)
{
	static const uint8_t prefixes[][2] = {
		{0},          {0x66},       {0xf2},       {0xf3},       {0x64},
		{0x65},       {0x3e},       {0x67},       {0xf0},       {0x66, 0x65},
		{0xf3, 0x64}, {0x66, 0xf3}, {0xf3, 0x66}, {0xf2, 0xf3}, {0xf3, 0xf2},
		{0x64, 0x65}, {0x65, 0x64}, {0x64, 0x2e}, {0x65, 0x67}, {0x4f, 0x66},
	};
	static const uint8_t opcodes[][2] = {{0x01},       {0x78},       {0x79},       {0xc7},
					     {0x38, 0x80}, {0x38, 0x81}, {0x38, 0x82}, {0xc6},
					     {0x77},       {0x20},       {0x22}};
	unsigned found = 0;

	(void)state;
	for (unsigned p = 0; p < ARRAY_LEN(prefixes); p++)
		for (unsigned rex = 0x3f; rex < 0x50; rex++)
			for (unsigned o = 0; o < ARRAY_LEN(opcodes); o++) {
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
	assert_true(found > 600000);
}

/* With bytes behind it it is the same; without its last ones it is none. */
static void each_instruction_is_its_bytes(void **state)
{
	static const struct {
		uint16_t op;
		uint8_t len, bytes[SX_INSN_MAX];
	} all[] = {
		{SX_LINE_VMCALL, 3, {0x0f, 0x01, 0xc1}},
		{SX_LINE_VMLAUNCH, 3, {0x0f, 0x01, 0xc2}},
		{SX_LINE_VMRESUME, 3, {0x0f, 0x01, 0xc3}},
		{SX_LINE_VMXOFF, 3, {0x0f, 0x01, 0xc4}},
		{SX_LINE_VMXON, 5, {0xf3, 0x0f, 0xc7, 0x34, 0x24}},
		{SX_LINE_VMCLEAR, 6, {0x66, 0x0f, 0xc7, 0x74, 0x24, 0x08}},
		{SX_LINE_VMPTRLD, 7, {0x0f, 0xc7, 0xb5, 0x00, 0xff, 0xff, 0xff}},
		{SX_LINE_VMPTRST, 7, {0x0f, 0xc7, 0x3d, 0x10, 0x00, 0x00, 0x00}},
		{SX_LINE_VMREAD, 4, {0x44, 0x0f, 0x78, 0xc8}},
		{SX_LINE_VMREAD, 10, {0x65, 0x4c, 0x0f, 0x78, 0x04, 0x8d, 0x44, 0x33, 0x22, 0x11}},
		{SX_LINE_VMWRITE, 4, {0x41, 0x0f, 0x79, 0xc1}},
		{SX_LINE_VMWRITE, 6, {0x67, 0x0f, 0x79, 0x44, 0x88, 0xf8}},
		{SX_LINE_INVEPT, 7, {0x66, 0x42, 0x0f, 0x38, 0x80, 0x0c, 0x20}},
		{SX_LINE_INVVPID, 9, {0x66, 0x0f, 0x38, 0x81, 0x05, 0x00, 0x00, 0x00, 0x80}},
		{SX_LINE_INVVPID, 11, {0x66, 0x41, 0x0f, 0x38, 0x81, 0x8c, 0x24, 1, 2, 3, 4}},
		{SX_INSN_MOV_CR4, 4, {0x41, 0x0f, 0x22, 0xe4}},
	};
	struct sx_insn insn;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		for (unsigned len = 0; len < all[i].len; len++) {
			compare(all[i].bytes, len, &insn);
			assert_int_equal(insn.op, 0);
		}
		for (unsigned len = all[i].len; len <= SX_INSN_MAX; len++) {
			compare(all[i].bytes, len, &insn);
			assert_int_equal(insn.op, all[i].op);
			assert_int_equal(insn.length, all[i].len);
		}
	}
}

static void addresses_are_sums(void **state)
{
	static const uint8_t invvpid[] = {0x66, 0x41, 0x0f, 0x38, 0x81, 0x8c, 0x24, 1, 2, 3, 4};
	static const uint8_t vmptrld_rip[] = {0x0f, 0xc7, 0x35, 0xf0, 0xff, 0xff, 0xff};
	static const uint8_t vmread_narrow[] = {0x67, 0x64, 0x0f, 0x78, 0x44, 0x8b, 0xf8};
	struct sx_insn insn;

	(void)state;
	compare(invvpid, sizeof(invvpid), &insn);
	assert_true(insn.address == cpu.gpr[12] + 0x04030201);
	compare(vmptrld_rip, sizeof(vmptrld_rip), &insn);
	assert_true(insn.address == cpu.rip + sizeof(vmptrld_rip) - 16);
	compare(vmread_narrow, sizeof(vmread_narrow), &insn);
	assert_int_equal(insn.segment, 0x64);
	assert_true(insn.address == (uint32_t)(cpu.gpr[SX_RBX] + 4 * cpu.gpr[SX_RCX] -
					       8)); /* FS's base is not cut */
}

static void a_rex_that_is_not_last_does_not_count(void **state)
{
	static const uint8_t vmclear[] = {0x4f, 0x66, 0x0f, 0xc7, 0x30};
	static const uint8_t vmread[] = {0x4f, 0x41, 0x0f, 0x78, 0xc8};
	struct sx_insn insn;

	(void)state;
	compare(vmclear, sizeof(vmclear), &insn);
	assert_int_equal(insn.op, SX_LINE_VMCLEAR);
	assert_true(insn.address == cpu.gpr[SX_RAX]);
	compare(vmread, sizeof(vmread), &insn);
	assert_int_equal(insn.op, SX_LINE_VMREAD);
	assert_int_equal(insn.rm, 8);
	assert_int_equal(insn.reg, 1);
}

/* Any two bytes, with registers behind them and with memory. */
static void other_opcodes_are_refused(void **state)
{
	static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3};
	static const uint8_t modrms[] = {0xe4, 0x34};
	unsigned ours = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(prefixes) * ARRAY_LEN(modrms); i++)
		for (unsigned opcode = 0; opcode < 0x10000; opcode++) {
			uint8_t bytes[SX_INSN_MAX] = {prefixes[i / 2], (uint8_t)(opcode >> 8),
						      (uint8_t)opcode, modrms[i % 2], 0x24};
			unsigned skip = prefixes[i / 2] == 0;
			struct sx_insn insn;

			compare(bytes + skip, sizeof(bytes) - skip, &insn);
			ours += insn.op != 0;
		}
	/* VMREAD and VMWRITE; MOV to CR4 with any prefix; VMREAD, VMWRITE, VMPTRLD; VMCLEAR; VMXON
	 */
	assert_int_equal(ours, 2 + 4 + 3 + 1 + 1);
}

static void prefixes_end_at_fifteen_bytes(void **state)
{
	static const uint8_t vmlaunch[] = {0x0f, 0x01, 0xc2};
	uint8_t bytes[18] = {0};
	struct sx_insn insn = {0};

	(void)state;
	memset(bytes, 0x3e, sizeof(bytes));
	memcpy(bytes + 12, vmlaunch, sizeof(vmlaunch));
	compare(bytes, 15, &insn);
	assert_int_equal(insn.op, SX_LINE_VMLAUNCH);
	assert_int_equal(insn.length, 15);
	memset(bytes, 0x3e, sizeof(bytes));
	memcpy(bytes + 13, vmlaunch, sizeof(vmlaunch));
	compare(bytes, sizeof(bytes), &insn);
	assert_int_equal(insn.op, 0);
	memset(bytes, 0x3e, sizeof(bytes));
	compare(bytes, sizeof(bytes), &insn);
	assert_int_equal(insn.op, 0);
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
		{0xf0, 0x0f, 0x22, 0xe0}, /* LOCK, which stands for REX.R where it means anything */
		{0x0f, 0x20, 0xe7},       /* a read */
	};
	struct sx_insn insn;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(writes); i++) {
		compare(writes[i].bytes, 4, &insn);
		assert_int_equal(insn.op, SX_INSN_MOV_CR4);
		assert_int_equal(insn.length, writes[i].length);
		assert_int_equal(insn.rm, writes[i].rm);
		assert_int_equal(insn.memory, 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
		compare(others[i], 4, &insn);
		assert_int_equal(insn.op, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_decoded_as_zydis_does),
		cmocka_unit_test(each_instruction_is_its_bytes),
		cmocka_unit_test(addresses_are_sums),
		cmocka_unit_test(a_rex_that_is_not_last_does_not_count),
		cmocka_unit_test(other_opcodes_are_refused),
		cmocka_unit_test(prefixes_end_at_fifteen_bytes),
		cmocka_unit_test(a_write_of_cr4_names_its_register),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
