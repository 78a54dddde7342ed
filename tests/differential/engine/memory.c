// SPDX-License-Identifier: BSD-3-Clause
/* L2's memory: its own paging, and through EPT12 where L1 has it. */
#include "nested/ept12.h"
#include "nested/paging.h"
#include "tests/differential/engine/engine.h"

struct walk {
	struct engine *e;
	struct sx_vmx_exit *exit;
	uint64_t linear;
	bool exits; /* else it stopped where there is no memory */
};

/* L1-physical for L2-physical. False: EPT12 has an exit for it. */
static bool to_l1(struct walk *w, uint64_t *gpa, unsigned access, bool paging_walk)
{
	const struct sx_ept12_access a = {
		.gpa = *gpa,
		.access = access,
		.has_linear = true,
		.paging_walk = paging_walk,
		.linear = w->linear,
	};
	struct sx_ept12_map map;

	if (!w->e->l2.eptp)
		return true;
	if (sx_ept12_translate(&w->e->vmx, w->e->l2.eptp, &a, &map, w->exit) != SX_EPT12_MAPPED) {
		w->exits = true;
		return false;
	}
	*gpa = map.gpa;
	return true;
}

static int read_entry(void *ctx, uint64_t gpa, void *buf, size_t size)
{
	struct walk *w = ctx;
	const void *at;

	if (!to_l1(w, &gpa, SX_ACCESS_READ, true))
		return -1;
	at = engine_memory(gpa, size);
	if (!at)
		return -1;
	__builtin_memcpy(buf, at, size);
	return 0;
}

void *engine_access(struct engine *e, uint64_t linear, unsigned access, struct sx_vmx_exit *exit,
		    enum engine_step *step)
{
	struct walk w = {.e = e, .exit = exit, .linear = linear};
	struct sx_paging_result result;
	void *at = NULL;

	if (sx_paging_walk(&e->l2.cpu, linear, access, false, read_entry, &w, &result) ==
		    SX_PAGING_OK &&
	    to_l1(&w, &result.gpa, access, false))
		at = engine_memory(result.gpa, ENGINE_SPAN);
	*step = w.exits ? ENGINE_EXIT : ENGINE_UNKNOWN;
	return at;
}
