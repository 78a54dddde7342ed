// SPDX-License-Identifier: BSD-3-Clause
#include "cli/pc_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "guestcore/pc_map.h"

#define PAGE 4096ull
#define HUGE (2ull << 20)

static int check_size(const struct sx_pc_config *c, struct sx_error *err)
{
	uint64_t unit = c->hugepages ? HUGE : PAGE;

	if (c->memory < SX_PC_MIN_MEMORY)
		return sx_fail(err, -EINVAL,
			       "a guest with a kernel of its own has at least %llu MiB of memory; "
			       "change --memory",
			       SX_PC_MIN_MEMORY >> 20);
	if (c->memory % unit)
		return sx_fail(err, -EINVAL, "--memory has to be a multiple of %" PRIu64 " KiB%s",
			       unit >> 10, c->hugepages ? " with --hugepages" : "");
	return 0;
}

/* Take every page now; a host without MADV_POPULATE_WRITE (5.14) has each touched instead. */
static int prefault(const struct sx_region *ram, struct sx_error *err)
{
	volatile uint8_t *p = ram->base;

	if (madvise(ram->base, ram->size, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return sx_fail(err, -errno, "cannot take %zu MiB of memory: %s; ask for less",
			       ram->size >> 20, strerror(errno));
	for (size_t at = 0; at < ram->size; at += PAGE)
		p[at] = 0;
	return 0;
}

/*
 * Private memory gets large pages from most hosts, which spares thousands of page faults. An L2's
 * memory is made of pages of L1's file.
 */
static unsigned region_flags(const struct sx_pc_config *c)
{
	if (c->hugepages)
		return SX_REGION_HUGE;
	return c->memfd || c->engine ? 0 : SX_REGION_PRIVATE;
}

int sx_pc_create_memory(struct sx_pc *pc, struct sx_error *err)
{
	const struct sx_pc_config *c = &pc->config;
	int rc = check_size(c, err);

	if (rc == 0)
		rc = sx_region_create(&pc->ram, "splitx-ram", c->memory, region_flags(c), err);
	if (rc < 0)
		return rc;
	rc = sx_placement_bind_memory(c->place, pc->ram.base, pc->ram.size, err);
	/* Advice: a host that has no large pages to give gives small ones. */
	if (rc == 0 && !c->hugepages)
		madvise(pc->ram.base, pc->ram.size, MADV_HUGEPAGE);
	if (rc == 0 && c->prefault)
		rc = prefault(&pc->ram, err);
	if (rc < 0)
		return rc;
	rc = sx_vm_add_memory(&pc->vm, 0, pc->low_end, pc->ram.base, 0, err);
	if (rc == 0 && sx_pc_high_memory(pc))
		rc = sx_vm_add_memory(&pc->vm, SX_PC_HIGH, sx_pc_high_memory(pc),
				      (uint8_t *)pc->ram.base + pc->low_end, 0, err);
	return rc;
}

uint64_t sx_pc_high_memory(const struct sx_pc *pc)
{
	return pc->config.memory - pc->low_end;
}
