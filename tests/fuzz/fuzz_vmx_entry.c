// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: any VMCS12. Input: pairs of a field's number (1 byte) and a value (8 bytes), put over a
 * VMCS12 that enters; a pair with number 255 writes anywhere in L1's memory instead.
 *
 * Whatever it says, an entry ends in one of the specified ways; what enters survives an exit, and
 * enters again as it came out, unless L1 had the exit store MSRs over the VMCS12.
 */
#include <stdlib.h>

#include "tests/unit/test_vmx_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAIR 9

static void require(bool holds)
{
	if (!holds)
		abort();
}

#define ENCODING(name, encoding, word, bits) (encoding),
static const uint16_t fields[] = {SX_VMCS_FIELDS(ENCODING)};

static void corrupt(struct world *w, const uint8_t *pair)
{
	uint64_t value;

	memcpy(&value, pair + 1, sizeof(value));
	if (pair[0] == 255)
		w->mem[value % WORLD_SIZE] = (uint8_t)(value >> 56);
	else
		set_field(w, fields[pair[0] % (sizeof(fields) / sizeof(fields[0]))], value);
}

/* Does the exit's MSR-store area lie in the VMCS12, whose header it may then forge. */
static bool stores_over_vmcs(const struct world *w)
{
	uint64_t area = field(w, SX_VMCS_EXIT_MSR_STORE_ADDR);
	uint64_t size = 16 * field(w, SX_VMCS_EXIT_MSR_STORE_COUNT);

	return area < AT_VMCS + SX_VMCS12_SIZE && AT_VMCS < area + size;
}

static void leave_and_enter_again(struct world *w)
{
	const struct sx_vmx_exit exit = {.reason = SX_VMEXIT_CPUID, .insn_length = 2};
	bool forged = stores_over_vmcs(w);
	struct sx_vmx_result result = sx_vmx_exit(&w->vmx, &w->l2, &exit, &w->l1);

	require(!w->vmx.in_l2);
	if (result.outcome == SX_VMX_ABORTED)
		return;
	require(result.outcome == SX_VMX_SUCCEED);
	result = sx_vmx_enter(&w->vmx, &w->l1, true, &w->l2);
	require(result.outcome != SX_VMX_FAULT);
	require(forged || result.outcome != SX_VMX_FAIL_INVALID);
	require(forged || result.outcome != SX_VMX_FAIL_VALID || w->vmx.why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct sx_vmx_result result;

	world_init_current(&w);
	for (; size >= PAIR; data += PAIR, size -= PAIR)
		corrupt(&w, data);
	result = sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2);
	switch (result.outcome) {
	case SX_VMX_ENTERED:
		require(w.vmx.in_l2 && !w.vmx.why);
		leave_and_enter_again(&w);
		break;
	case SX_VMX_FAIL_VALID:
		require(result.error == SX_VMERR_VMLAUNCH_NOT_CLEAR || w.vmx.why);
		break;
	case SX_VMX_ENTRY_FAILED:
	case SX_VMX_ABORTED:
		require(w.vmx.why && !w.vmx.in_l2);
		break;
	default:
		require(result.outcome == SX_VMX_FAIL_INVALID);
		break;
	}
	return 0;
}
