// SPDX-License-Identifier: BSD-3-Clause
/* Exits of the host module, decoded, and the refusals of marks that need no module. */
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nested/hostmod.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct bytes {
	uint8_t at[SX_HOST_MAX_INSN], count;
};

#define BYTES(...) ((struct bytes){{__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})})

static struct sx_host_exit exit_of(uint32_t kind, uint8_t bits, struct bytes insn)
{
	struct sx_host_exit in = {
		.kind = kind,
		.bits = bits,
		.insn_bytes = insn.count,
		.rip = 0x1000,
		.value = 0xfedcba9876543210,
		.rax = 0xa1a1a1a1a2a2a2a2,
		.rbx = 0xb1b1b1b1b2b2b2b2,
		.rcx = 0xc1c1c1c1c2c2c2c2,
		.rdx = 0xd1d1d1d1d2d2d2d2,
		.rsi = 0xe1e1e1e1e2e2e2e2,
	};

	memcpy(in.insn, insn.at, sizeof(in.insn));
	return in;
}

static int decode(uint32_t kind, uint8_t bits, struct bytes insn, struct sx_hostmod_exit *out)
{
	struct sx_host_exit in = exit_of(kind, bits, insn);

	return sx_hostmod_decode_exit(&in, out);
}

static void cpuid(void **state)
{
	struct sx_hostmod_exit e;

	(void)state;
	assert_int_equal(decode(SX_HOST_CPUID, 64, BYTES(0x0f, 0xa2), &e), 0);
	assert_int_equal(e.kind, SX_HOST_CPUID);
	assert_int_equal(e.length, 2);
	assert_int_equal(e.cpuid.leaf, 0xa2a2a2a2);
	assert_int_equal(e.cpuid.subleaf, 0xc2c2c2c2);
	assert_int_equal(decode(SX_HOST_CPUID, 16, BYTES(0x66, 0x2e, 0x0f, 0xa2), &e), 0);
	assert_int_equal(e.length, 4);
}

static void moves_to_cr(void **state)
{
	struct sx_hostmod_exit e;

	(void)state;
	assert_int_equal(decode(SX_HOST_CR0, 64, BYTES(0x0f, 0x22, 0xc3), &e), 0);
	assert_int_equal(e.length, 3);
	assert_int_equal(e.cr.access, SX_HOSTMOD_MOV);
	assert_int_equal(e.cr.gpr, 3);
	assert_int_equal(e.cr.value, 0xfedcba9876543210);
	assert_int_equal(decode(SX_HOST_CR4, 64, BYTES(0x41, 0x0f, 0x22, 0xe7), &e), 0);
	assert_int_equal(e.length, 4);
	assert_int_equal(e.cr.gpr, 15);
	assert_int_equal(decode(SX_HOST_CR0, 32, BYTES(0x0f, 0x22, 0xc0), &e), 0);
	assert_int_equal(e.cr.gpr, 0);
	assert_int_equal(e.cr.value, 0x76543210);
	assert_int_equal(decode(SX_HOST_CR0, 16, BYTES(0x0f, 0x22, 0xc6), &e), 0);
	assert_int_equal(e.cr.gpr, 6);
	assert_int_equal(e.cr.value, 0x76543210);
}

static void lmsw_and_clts(void **state)
{
	struct sx_hostmod_exit e;

	(void)state;
	assert_int_equal(decode(SX_HOST_CR0, 16, BYTES(0x0f, 0x01, 0xf0), &e), 0);
	assert_int_equal(e.cr.access, SX_HOSTMOD_LMSW);
	assert_int_equal(e.length, 3);
	assert_int_equal(e.cr.value, 0);
	assert_false(e.cr.memory);
	assert_int_equal(decode(SX_HOST_CR0, 64, BYTES(0x0f, 0x01, 0x35, 1, 2, 3, 4), &e), 0);
	assert_int_equal(e.cr.access, SX_HOSTMOD_LMSW);
	assert_int_equal(e.length, 7);
	assert_true(e.cr.memory);
	assert_int_equal(decode(SX_HOST_CR0, 64, BYTES(0x0f, 0x06), &e), 0);
	assert_int_equal(e.cr.access, SX_HOSTMOD_CLTS);
	assert_int_equal(e.length, 2);
}

static void xsetbv(void **state)
{
	struct sx_hostmod_exit e;

	(void)state;
	assert_int_equal(decode(SX_HOST_XSETBV, 64, BYTES(0x0f, 0x01, 0xd1), &e), 0);
	assert_int_equal(e.length, 3);
	assert_int_equal(e.xcr.index, 0xc2c2c2c2);
	assert_int_equal(e.xcr.value, 0xd2d2d2d2a2a2a2a2);
}

static void hypercalls(void **state)
{
	struct sx_hostmod_exit e;

	(void)state;
	assert_int_equal(decode(SX_HOST_HYPERCALL, 64, BYTES(0x0f, 0x01, 0xc1), &e), 0);
	assert_int_equal(e.length, 3);
	assert_false(e.hypercall.vmmcall);
	assert_int_equal(e.hypercall.number, 0xa1a1a1a1a2a2a2a2);
	assert_int_equal(e.hypercall.arguments[0], 0xb1b1b1b1b2b2b2b2);
	assert_int_equal(e.hypercall.arguments[3], 0xe1e1e1e1e2e2e2e2);
	assert_int_equal(decode(SX_HOST_HYPERCALL, 32, BYTES(0x0f, 0x01, 0xd9), &e), 0);
	assert_true(e.hypercall.vmmcall);
	assert_int_equal(e.hypercall.number, 0xa2a2a2a2);
	assert_int_equal(e.hypercall.arguments[2], 0xd2d2d2d2);
}

/* What the guest has written over the instruction meanwhile. */
static void another_instruction(void **state)
{
	static const struct {
		uint32_t kind;
		struct bytes insn;
	} all[] = {
		{SX_HOST_CPUID, {{0x0f, 0x01, 0xd1}, 3}},
		{SX_HOST_CPUID, {{0x0f, 0x0b}, 2}},
		{SX_HOST_CR0, {{0x0f, 0x22, 0xe0}, 3}},       /* CR4 */
		{SX_HOST_CR0, {{0x0f, 0x22, 0xd8}, 3}},       /* CR3 */
		{SX_HOST_CR0, {{0x44, 0x0f, 0x22, 0xc0}, 4}}, /* CR8 */
		{SX_HOST_CR0, {{0x0f, 0x20, 0xc0}, 3}},       /* reads */
		{SX_HOST_CR0, {{0x48, 0x89, 0xc3}, 3}},       /* MOV of two registers */
		{SX_HOST_CR0, {{0xc7, 0x00, 0, 0, 0, 0}, 6}}, /* MOV to memory */
		{SX_HOST_CR0, {{0x0f, 0x01, 0xe0}, 3}},       /* SMSW */
		{SX_HOST_CR0, {{0x0f, 0xa2}, 2}},
		{SX_HOST_CR4, {{0x0f, 0x22, 0xc0}, 3}},
		{SX_HOST_CR4, {{0x0f, 0x01, 0xf0}, 3}},
		{SX_HOST_CR4, {{0x0f, 0x06}, 2}},
		{SX_HOST_XSETBV, {{0x0f, 0x01, 0xd0}, 3}}, /* XGETBV */
		{SX_HOST_HYPERCALL, {{0x0f, 0x01, 0xc2}, 3}},
		{SX_HOST_HYPERCALL, {{0x90}, 1}},
	};
	struct sx_hostmod_exit e;

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++)
		assert_int_equal(decode(all[i].kind, 64, all[i].insn, &e), -EILSEQ);
}

static void broken_bytes(void **state)
{
	struct bytes prefixes = {.count = SX_HOST_MAX_INSN};
	struct sx_host_exit in;
	struct sx_hostmod_exit e;

	(void)state;
	memset(prefixes.at, 0x66, sizeof(prefixes.at));
	assert_int_equal(decode(SX_HOST_CPUID, 64, BYTES(0x0f), &e), -ENODATA);
	assert_int_equal(decode(SX_HOST_CPUID, 64, (struct bytes){{0}, 0}, &e), -ENODATA);
	assert_int_equal(decode(SX_HOST_CR4, 64, BYTES(0x41, 0x0f, 0x22), &e), -ENODATA);
	assert_int_equal(decode(SX_HOST_CPUID, 64, prefixes, &e), -EILSEQ);
	assert_int_equal(decode(SX_HOST_CPUID, 64, BYTES(0x0f, 0x04), &e), -EILSEQ);
	in = exit_of(SX_HOST_CPUID, 64, BYTES(0x0f, 0xa2));
	in.insn_bytes = SX_HOST_MAX_INSN + 1;
	assert_int_equal(sx_hostmod_decode_exit(&in, &e), -EILSEQ);
}

static void unknown_kinds(void **state)
{
	struct sx_hostmod_exit e;

	(void)state;
	assert_int_equal(decode(0, 64, BYTES(0x0f, 0xa2), &e), -EILSEQ);
	assert_int_equal(decode(SX_HOST_CPUID | SX_HOST_CR0, 64, BYTES(0x0f, 0xa2), &e), -EILSEQ);
	assert_int_equal(decode(SX_HOST_ALL + 1, 64, BYTES(0x0f, 0xa2), &e), -EILSEQ);
}

static void where_kvm_has_it(void **state)
{
	struct kvm_run run = {.exit_reason = SX_HOST_EXIT};
	struct sx_host_exit in = exit_of(SX_HOST_CPUID, 64, BYTES(0x0f, 0xa2));
	struct sx_hostmod_exit e;

	(void)state;
	memcpy((char *)&run + SX_HOST_EXIT_AT, &in, sizeof(in));
	assert_true(sx_hostmod_is_exit(&run));
	assert_int_equal(sx_hostmod_decode(&run, &e), 0);
	assert_int_equal(e.cpuid.leaf, 0xa2a2a2a2);
	run.exit_reason = KVM_EXIT_HYPERCALL;
	assert_false(sx_hostmod_is_exit(&run));
}

/* Without the module -ENOENT, with it -ENOTTY: a pipe is no vCPU. */
static void no_vcpu(void **state)
{
	struct sx_error err = {0};
	int ends[2];
	int rc;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	rc = sx_hostmod_mark(ends[0], SX_HOST_ALL, &err);
	assert_int_equal(rc, access(SX_HOST_DEVICE, F_OK) == 0 ? -ENOTTY : -ENOENT);
	assert_non_null(strstr(err.text, SX_HOST_DEVICE));
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpuid),
		cmocka_unit_test(moves_to_cr),
		cmocka_unit_test(lmsw_and_clts),
		cmocka_unit_test(xsetbv),
		cmocka_unit_test(hypercalls),
		cmocka_unit_test(another_instruction),
		cmocka_unit_test(broken_bytes),
		cmocka_unit_test(unknown_kinds),
		cmocka_unit_test(where_kvm_has_it),
		cmocka_unit_test(no_vcpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
