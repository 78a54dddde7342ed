// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: any bytes as an instruction of L1, in any mode and with any registers, executed whole.
 *
 * Input: 1 byte of mode, up to 15 of the instruction, then registers of 4 bytes (sign-extended);
 * those that the input does not reach point to operands.
 */
#include <stdlib.h>

#include "nested/vmx_decode.h"
#include "tests/unit/test_vmx_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void set_mode(struct world *w, uint8_t mode)
{
	if (mode & 1)
		world_l1_32(&w->l1);
	if (mode & 2)
		w->l1.seg[SX_SEG_CS].ar ^= SX_AR_DB;
	if (mode & 4)
		w->l1.seg[SX_SEG_SS].ar |= 0x60;
	if (mode & 8)
		w->vmx.on = false;
	if (mode & 16)
		w->vmx.current = SX_VMX_NONE;
	if (mode & 32)
		w->fault_page = AT_OPERANDS;
	if (mode & 64)
		w->l1.seg[SX_SEG_DS].limit = AT_OPERANDS;
	if (mode & 128)
		w->l1.rip = mode & 1 ? UINT32_MAX - 3 : UINT64_C(0x7ffffffffffc);
}

/* Whatever the bytes were: a fault keeps RIP, a completed instruction steps over at most 15 bytes.
 */
static void check(const struct world *w, uint64_t rip, const struct sx_vmx_result *r)
{
	uint64_t steps = w->l1.rip - rip;

	if (!sx_vmx_is_64bit(&w->l1))
		steps &= UINT32_MAX;
	switch (r->outcome) {
	case SX_VMX_SUCCEED:
	case SX_VMX_FAIL_INVALID:
	case SX_VMX_FAIL_VALID:
		require(steps >= 3 && steps <= SX_VMX_MAX_INSN);
		break;
	case SX_VMX_FAULT:
		require(w->l1.rip == rip);
		require(r->vector == SX_VEC_UD || r->vector == SX_VEC_GP ||
			r->vector == SX_VEC_SS || r->vector == SX_VEC_PF);
		break;
	case SX_VMX_ENTERED:
		require(w->vmx.in_l2);
		break;
	default:
		require(!w->vmx.in_l2);
		break;
	}
}

static void set_registers(struct world *w, const uint8_t *data, size_t size)
{
	for (unsigned i = 0; i < SX_GPR_COUNT; i++) {
		int32_t value = AT_OPERANDS + 8 * (int32_t)i;

		if (size >= 4) {
			memcpy(&value, data, sizeof(value));
			data += 4;
			size -= 4;
		}
		w->l1.gpr[i] = (uint64_t)(int64_t)value;
	}
	put64(w, AT_OPERANDS, AT_VMCS);
	put64(w, AT_OPERANDS + 8, AT_VMXON);
	put64(w, AT_OPERANDS + 16, WORLD_EPTP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct sx_vmx_result result;
	uint64_t rip;
	size_t len;

	if (size < 1)
		return 0;
	world_init_current(&w);
	set_mode(&w, data[0]);
	data++;
	size--;
	len = size < SX_VMX_MAX_INSN ? size : SX_VMX_MAX_INSN;
	set_registers(&w, data + len, size - len);
	rip = w.l1.rip;
	result = sx_vmx_execute(&w.vmx, &w.l1, data, len, &w.l2);
	check(&w, rip, &result);
	return 0;
}
