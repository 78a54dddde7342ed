// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: any EPT12 structures. Input: an L2-physical address (8 bytes), access bits (1 byte), then
 * the four pages of structures, 8 bytes at a time to places that the walk is likely to reach.
 *
 * Whatever they say, a walk ends, and what it maps lies within L1's address width.
 */
#include <stdlib.h>

#include "nested/ept12.h"
#include "tests/unit/test_vmx_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Entry i goes where level i looks for the address, whichever table the entries name. */
static void put_tables(struct world *w, uint64_t gpa, const uint8_t *data, size_t size)
{
	for (unsigned i = 0; size >= 8; i++, data += 8, size -= 8) {
		unsigned level = i % 4, page = i / 4 % 4;
		uint64_t index = gpa >> (39 - 9 * level) & 0x1ff;

		memcpy(w->mem + AT_EPT + (size_t)0x1000 * page + 8 * index, data, 8);
	}
}

static void check(const struct sx_vmx *vmx, enum sx_ept12_outcome outcome, unsigned access,
		  const struct sx_ept12_map *map, const struct sx_vmx_exit *exit)
{
	switch (outcome) {
	case SX_EPT12_MAPPED:
		require(!(map->gpa >> vmx->caps.maxphyaddr));
		require((map->rights & access) == access);
		require(map->page == 0x1000 || map->page == 0x200000 || map->page == 0x40000000);
		break;
	case SX_EPT12_VIOLATION:
		require(exit->reason == SX_VMEXIT_EPT_VIOLATION);
		require((exit->qualification & 7 & ~(exit->qualification >> 3)) || !access);
		break;
	case SX_EPT12_MISCONFIG:
		require(exit->reason == SX_VMEXIT_EPT_MISCONFIG);
		break;
	case SX_EPT12_PML_FULL:
		require(exit->reason == SX_VMEXIT_PML_FULL);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct sx_ept12_access access = {0};
	struct sx_ept12_map map = {0};
	struct sx_vmx_exit exit = {0};
	enum sx_ept12_outcome outcome;

	if (size < 9)
		return 0;
	world_init_current(&w);
	require(sx_vmx_enter(&w.vmx, &w.l1, false, &w.l2).outcome == SX_VMX_ENTERED);
	memcpy(&access.gpa, data, sizeof(access.gpa));
	access.access = data[8] & 7;
	access.has_linear = data[8] & 8;
	access.paging_walk = data[8] & 16;
	sx_vmcs12_set(&w.vmx.v12, SX_VMCS_GUEST_PML_INDEX, data[8] & 32 ? 512 : 511);
	put_tables(&w, access.gpa, data + 9, size - 9);
	for (unsigned tries = 0; tries < 8; tries++) {
		outcome = sx_ept12_translate(&w.vmx, WORLD_EPTP, &access, &map, &exit);
		check(&w.vmx, outcome, access.access, &map, &exit);
		if (outcome != SX_EPT12_RETRY)
			break;
	}
	require(outcome != SX_EPT12_RETRY); /* nobody else writes: each retry sets a flag */
	return 0;
}
