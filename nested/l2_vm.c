// SPDX-License-Identifier: BSD-3-Clause
#include "nested/l2_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "nested/l2_touch.h"

#define PAGE        UINT64_C(0x1000)
#define LARGE       (UINT64_C(1) << 21)
#define BLOCK       (LARGE / PAGE) /* pages that are counted together */
#define GIB         (UINT64_C(1) << 30)
#define MAX_WINDOWS 64
#define RIGHTS      UINT64_C(7)

/*
 * The first window, from address 0, holds what nearly every L2 has, so that nothing there comes out
 * half executed. A KVM that walks in software keeps 8 bytes for each page of a slot, others few.
 */
#define LOW_SIZE          (32 * GIB)
#define LOW_SIZE_SOFTWARE (4 * GIB)

/* A part of L2's physical memory: one memory slot, whose number is the window's index. */
struct window {
	uint64_t gpa;
	uint64_t size;     /* of whole blocks */
	uint8_t *reserved; /* @size + LARGE, of which @base is a part */
	uint8_t *base;
	uint64_t *page; /* for each page the L1-physical page | rights; 0: not mapped */
	uint16_t *used; /* for each block how many of its pages are mapped */
};

struct sx_l2_vm {
	int fd;
	const struct sx_l1_range *ranges;
	unsigned range_count;
	bool walks_in_software;
	unsigned window_count;
	uint64_t pages;
	void *ballast; /* one mapping too many, to be dropped when the host has no room for more */
	struct window window[MAX_WINDOWS];
};

/* Part of one window, and of one range of L1's memory. */
struct extent {
	size_t first, count; /* pages of the window */
	uint64_t l1;
	const struct sx_l1_range *range;
};

static uint64_t page_of(uint64_t gpa)
{
	return gpa & ~(PAGE - 1);
}

/* ---- windows ---- */

static void *reserve(size_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int add_slot(const struct sx_l2_vm *vm, unsigned slot, const struct window *w)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.guest_phys_addr = w->gpa,
		.memory_size = w->size,
		.userspace_addr = (uintptr_t)w->base,
	};

	return sx_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r);
}

static size_t pages_bytes(const struct window *w)
{
	return w->size / PAGE * sizeof(*w->page);
}

static size_t used_bytes(const struct window *w)
{
	return w->size / LARGE * sizeof(*w->used);
}

static void free_window(struct window *w)
{
	munmap(w->used, used_bytes(w));
	munmap(w->page, pages_bytes(w));
	munmap(w->reserved, w->size + LARGE);
}

/* The arrays take memory only where L2 has some. */
static int reserve_window(struct window *w)
{
	w->reserved = reserve(w->size + LARGE, PROT_NONE);
	if (!w->reserved)
		return -ENOMEM;
	/*
	 * At a multiple of 2 MiB, so that large pages of L1's memory stay large for L2. The end
	 * that is left over keeps windows apart, so that mappings of two of them never merge.
	 */
	w->base = w->reserved + (-(uintptr_t)w->reserved & (LARGE - 1));
	w->page = reserve(pages_bytes(w), PROT_READ | PROT_WRITE);
	if (!w->page)
		goto fail_reserved;
	w->used = reserve(used_bytes(w), PROT_READ | PROT_WRITE);
	if (!w->used)
		goto fail_page;
	return 0;

fail_page:
	munmap(w->page, pages_bytes(w));
fail_reserved:
	munmap(w->reserved, w->size + LARGE);
	return -ENOMEM;
}

static int add_window(struct sx_l2_vm *vm, uint64_t gpa, uint64_t size)
{
	struct window *w = &vm->window[vm->window_count];
	int rc;

	w->gpa = gpa;
	w->size = size;
	rc = reserve_window(w);
	if (rc < 0)
		return rc;
	rc = add_slot(vm, vm->window_count, w);
	if (rc < 0) {
		free_window(w);
		return rc;
	}
	vm->window_count++;
	return 0;
}

static const struct window *find_window(const struct sx_l2_vm *vm, uint64_t gpa)
{
	for (unsigned i = 0; i < vm->window_count; i++)
		if (gpa - vm->window[i].gpa < vm->window[i].size)
			return &vm->window[i];
	return NULL;
}

/* The window that holds @gpa, made if there is none: 0, or -EFAULT, -ENOMEM. */
static int get_window(struct sx_l2_vm *vm, uint64_t gpa, struct window **found)
{
	const struct window *w = find_window(vm, gpa);
	int rc = 0;

	if (!w) {
		if (vm->window_count == MAX_WINDOWS)
			return -EFAULT;
		rc = add_window(vm, gpa & ~(GIB - 1), GIB);
		if (rc < 0) /* what KVM refuses lies beyond what it can address */
			return rc == -ENOMEM ? rc : -EFAULT;
		w = &vm->window[vm->window_count - 1];
	}
	*found = &vm->window[w - vm->window];
	return 0;
}

/* ---- pages ---- */

static void note_mapped(struct sx_l2_vm *vm, struct window *w, const struct extent *e,
			unsigned rights)
{
	for (size_t i = 0; i < e->count; i++) {
		uint64_t *page = &w->page[e->first + i];

		if (!*page) {
			w->used[(e->first + i) / BLOCK]++;
			vm->pages++;
		}
		*page = (e->l1 + i * PAGE) | rights;
	}
}

static void note_unmapped(struct sx_l2_vm *vm, struct window *w, size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		if (!w->page[i])
			continue;
		w->page[i] = 0;
		w->used[i / BLOCK]--;
		vm->pages--;
	}
}

static int hide(const struct window *w, size_t first, size_t count)
{
	void *p = mmap(w->base + first * PAGE, count * PAGE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

/* A file of its own, so that it merges with nothing. */
static void take_ballast(struct sx_l2_vm *vm)
{
	void *p = mmap(NULL, PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	vm->ballast = p == MAP_FAILED ? NULL : p;
}

static void drop_ballast(struct sx_l2_vm *vm)
{
	if (vm->ballast)
		munmap(vm->ballast, PAGE);
	vm->ballast = NULL;
}

/* Hide all of @w, though the process may have more mappings than mmap() wants to see. */
static void hide_window(struct sx_l2_vm *vm, const struct window *w)
{
	int rc = hide(w, 0, w->size / PAGE);

	if (rc < 0) {
		drop_ballast(vm);
		rc = hide(w, 0, w->size / PAGE);
	}
	/*
	 * Somebody else was faster. The pages are hidden where they are, which needs no room: no
	 * mapping of a file reaches beyond the window, so none is split.
	 */
	if (rc < 0)
		mprotect(w->base, w->size, PROT_NONE);
	if (!vm->ballast)
		take_ballast(vm);
}

static void unmap_window(struct sx_l2_vm *vm, struct window *w)
{
	hide_window(vm, w);
	for (size_t b = 0; b < w->size / LARGE; b++)
		if (w->used[b])
			note_unmapped(vm, w, b * BLOCK, BLOCK);
}

static void unmap(struct sx_l2_vm *vm, struct window *w, size_t first, size_t count)
{
	if (hide(w, first, count) < 0)
		unmap_window(vm, w); /* splitting a mapping needs room for one more */
	else
		note_unmapped(vm, w, first, count);
}

void sx_l2_vm_unmap_all(struct sx_l2_vm *vm)
{
	for (unsigned i = 0; i < vm->window_count; i++)
		unmap_window(vm, &vm->window[i]);
}

static const struct sx_l1_range *find_range(const struct sx_l2_vm *vm, uint64_t l1)
{
	for (unsigned i = 0; i < vm->range_count; i++)
		if (l1 - vm->ranges[i].gpa < vm->ranges[i].size)
			return &vm->ranges[i];
	return NULL;
}

/* The page of EPT12, cut to 2 MiB around @gpa and to the range of L1's memory. */
static struct extent extent_of(const struct window *w, const struct sx_l1_range *range,
			       uint64_t gpa, const struct sx_ept12_map *map)
{
	uint64_t span = map->page < LARGE ? map->page : LARGE, l1 = page_of(map->gpa);
	uint64_t below = page_of(gpa) & (span - 1), above = span - below;

	if (below > l1 - range->gpa)
		below = l1 - range->gpa;
	if (above > range->gpa + range->size - l1)
		above = range->gpa + range->size - l1;
	return (struct extent){
		.first = (size_t)((page_of(gpa) - below - w->gpa) / PAGE),
		.count = (size_t)((below + above) / PAGE),
		.l1 = l1 - below,
		.range = range,
	};
}

static int show(const struct window *w, const struct extent *e, unsigned rights)
{
	bool writable = (rights & SX_ACCESS_WRITE) && !e->range->readonly;
	off_t offset = (off_t)(e->range->offset + (e->l1 - e->range->gpa));
	void *p = mmap(w->base + e->first * PAGE, e->count * PAGE,
		       PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED,
		       e->range->fd, offset);

	return p == MAP_FAILED ? -errno : 0;
}

static int map_once(struct sx_l2_vm *vm, uint64_t gpa, const struct sx_ept12_map *map)
{
	const struct sx_l1_range *range = find_range(vm, map->gpa);
	struct window *w;
	struct extent e;
	int rc;

	if (!range || !map->rights)
		return -EFAULT;
	rc = get_window(vm, gpa, &w);
	if (rc < 0)
		return rc;
	e = extent_of(w, range, gpa, map);
	rc = show(w, &e, map->rights);
	if (rc == 0)
		note_mapped(vm, w, &e, map->rights);
	else
		unmap(vm, w, e.first, e.count); /* what was there may be gone */
	return rc;
}

int sx_l2_vm_map(struct sx_l2_vm *vm, uint64_t gpa, const struct sx_ept12_map *map)
{
	int rc = map_once(vm, gpa, map);

	if (rc == -ENOMEM) { /* sysctl vm.max_map_count */
		sx_l2_vm_unmap_all(vm);
		rc = map_once(vm, gpa, map);
	}
	return rc;
}

bool sx_l2_vm_find(const struct sx_l2_vm *vm, uint64_t gpa, unsigned rights, uint64_t *l1)
{
	const struct window *w = find_window(vm, gpa);
	uint64_t page = w ? w->page[(gpa - w->gpa) / PAGE] : 0;

	*l1 = page_of(page) | (gpa & (PAGE - 1));
	return page && !(rights & ~page);
}

bool sx_l2_vm_has(const struct sx_l2_vm *vm, uint64_t gpa, const struct sx_ept12_map *map)
{
	uint64_t l1;

	return sx_l2_vm_find(vm, gpa, map->rights, &l1) && page_of(l1) == page_of(map->gpa);
}

uint64_t sx_l2_vm_pages(const struct sx_l2_vm *vm)
{
	return vm->pages;
}

/* ---- looking again ---- */

/* What EPT12 says of all pages from @begin to @end, found by one walk. */
struct look {
	uint64_t begin, end;
	uint64_t l1; /* where @begin leads */
	unsigned rights;
};

static struct look look_at(struct sx_vmx *vmx, uint64_t eptp, uint64_t gpa)
{
	const struct sx_ept12_access access = {.gpa = gpa};
	struct look look = {.begin = gpa, .end = gpa + PAGE};
	struct sx_ept12_map map;
	struct sx_vmx_exit ignored;

	if (sx_l2_translate(vmx, eptp, &access, &map, &ignored) != SX_EPT12_MAPPED)
		return look;
	if ((eptp & SX_EPTP_AD) && !map.accessed)
		return look;
	look.begin = gpa & ~(map.page - 1);
	look.end = look.begin + map.page;
	look.l1 = map.gpa & ~(map.page - 1);
	look.rights = map.rights;
	return look;
}

static void revalidate_block(struct sx_l2_vm *vm, struct window *w, size_t block,
			     struct sx_vmx *vmx, uint64_t eptp)
{
	struct look look = {0};

	for (size_t i = block * BLOCK; i < (block + 1) * BLOCK; i++) {
		uint64_t gpa = w->gpa + i * PAGE, page = w->page[i];

		if (!page)
			continue;
		if (gpa - look.begin >= look.end - look.begin)
			look = look_at(vmx, eptp, gpa);
		if (page_of(page) != look.l1 + (gpa - look.begin) || (page & RIGHTS & ~look.rights))
			unmap(vm, w, i, 1);
	}
}

void sx_l2_vm_revalidate(struct sx_l2_vm *vm, struct sx_vmx *vmx, uint64_t eptp)
{
	for (unsigned i = 0; i < vm->window_count; i++) {
		struct window *w = &vm->window[i];

		for (size_t block = 0; block < w->size / LARGE; block++)
			if (w->used[block])
				revalidate_block(vm, w, block, vmx, eptp);
	}
}

/* ---- life ---- */

static int check_range(const struct sx_l1_range *r, struct sx_error *err)
{
	struct statfs fs;

	if (!r->size || (r->gpa | r->size | r->offset) & (PAGE - 1) || r->gpa + r->size < r->gpa)
		return sx_fail(err, -EINVAL,
			       "memory of L1 at 0x%" PRIx64 "+0x%" PRIx64
			       " is no range of whole pages",
			       r->gpa, r->size);
	if (fstatfs(r->fd, &fs) < 0)
		return sx_fail(err, -errno,
			       "memory of L1 at 0x%" PRIx64
			       " has no file that L2 could share: %s; give it a memfd",
			       r->gpa, strerror(errno));
	if (fs.f_type == HUGETLBFS_MAGIC)
		return sx_fail(err, -EINVAL,
			       "memory of L1 at 0x%" PRIx64
			       " is made of hugepages, which L2 cannot share page by page; "
			       "run L1 without them",
			       r->gpa);
	return 0;
}

/* Y or N, 1 or 0, as KVM's vendor modules say it of EPT and NPT. */
static bool parameter_is_set(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char value = 0;

	if (fd < 0)
		return false;
	if (read(fd, &value, 1) != 1)
		value = 0;
	close(fd);
	return value == 'Y' || value == '1';
}

/* So that a triple fault which KVM has not told of yet is seen: Linux 6.1, api.rst 7.37. */
static int show_triple_faults(const struct sx_l2_vm *vm)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_TRIPLE_FAULT_EVENT, .args = {1}};
	int rc = sx_ioctl(vm->fd, KVM_ENABLE_CAP, &cap);

	return rc == -EINVAL ? 0 : rc; /* an older KVM */
}

static int add_low_window(struct sx_l2_vm *vm, struct sx_error *err)
{
	uint64_t size = vm->walks_in_software ? LOW_SIZE_SOFTWARE : LOW_SIZE;
	int rc = add_window(vm, 0, size);

	if (rc < 0)
		return sx_fail(err, rc, "an L2 VM cannot have %" PRIu64 " GiB of address space: %s",
			       size / GIB, strerror(-rc));
	return 0;
}

int sx_l2_vm_create(struct sx_l2_vm **vm, const struct sx_kvm *kvm,
		    const struct sx_l1_range *ranges, unsigned count, struct sx_error *err)
{
	struct sx_l2_vm *v;
	int rc;

	for (unsigned i = 0; i < count; i++) {
		rc = check_range(&ranges[i], err);
		if (rc < 0)
			return rc;
	}
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->ranges = ranges;
	v->range_count = count;
	v->fd = sx_ioctl(kvm->fd, KVM_CREATE_VM, NULL);
	if (v->fd < 0) {
		rc = sx_fail(err, v->fd, "KVM cannot create a VM for L2: %s", strerror(-v->fd));
		free(v);
		return rc;
	}
	v->walks_in_software = !parameter_is_set("/sys/module/kvm_intel/parameters/ept") &&
			       !parameter_is_set("/sys/module/kvm_amd/parameters/npt");
	take_ballast(v);
	rc = show_triple_faults(v);
	if (rc < 0)
		sx_fail(err, rc, "KVM does not tell L2's triple faults: %s", strerror(-rc));
	else
		rc = add_low_window(v, err);
	if (rc < 0) {
		sx_l2_vm_destroy(v);
		return rc;
	}
	*vm = v;
	return 0;
}

void sx_l2_vm_destroy(struct sx_l2_vm *vm)
{
	if (!vm)
		return;
	close(vm->fd); /* before the memory of its slots */
	for (unsigned i = 0; i < vm->window_count; i++)
		free_window(&vm->window[i]);
	drop_ballast(vm);
	free(vm);
}

int sx_l2_vm_fd(const struct sx_l2_vm *vm)
{
	return vm->fd;
}

bool sx_l2_vm_walks_in_software(const struct sx_l2_vm *vm)
{
	return vm->walks_in_software;
}
