// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE  4096u
#define LARGE (2ul << 20)

/* A file of hugepages has them as its blocks. */
static size_t page_size_of(int fd, unsigned flags)
{
	struct stat st;

	return (flags & SX_REGION_HUGE) && fstat(fd, &st) == 0 ? (size_t)st.st_blksize : PAGE;
}

static int create_memfd(struct sx_region *r, const char *name, unsigned flags, struct sx_error *err)
{
	unsigned mfd = MFD_CLOEXEC | (flags & SX_REGION_HUGE ? MFD_HUGETLB : 0);
	int populate = flags & SX_REGION_PREFAULT ? MAP_POPULATE : 0;
	int rc;

	r->fd = memfd_create(name, mfd);
	if (r->fd < 0)
		return sx_fail(err, -errno, "cannot create shared memory '%s': %s", name,
			       strerror(errno));
	if (ftruncate(r->fd, (off_t)r->size) < 0) {
		rc = sx_fail(err, -errno,
			     "cannot reserve %zu MiB of memory: %s; ask for less by --memory",
			     r->size >> 20, strerror(errno));
		goto fail_fd;
	}
	r->base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | populate, r->fd, 0);
	if (r->base == MAP_FAILED) {
		rc = sx_fail(err, -errno, "cannot map %zu MiB of memory: %s; %s", r->size >> 20,
			     strerror(errno),
			     flags & SX_REGION_HUGE ? "reserve more in /proc/sys/vm/nr_hugepages"
						    : "ask for less by --memory");
		goto fail_fd;
	}
	r->page_size = page_size_of(r->fd, flags);
	return 0;

fail_fd:
	close(r->fd);
	return rc;
}

/*
 * KVM maps a large page only where guest-physical and host-virtual addresses begin together, so
 * what lies before the first multiple of LARGE, and behind the end, is given back.
 */
static int create_private(struct sx_region *r, const char *name, unsigned flags,
			  struct sx_error *err)
{
	int populate = flags & SX_REGION_PREFAULT ? MAP_POPULATE : 0;
	size_t before, room = r->size <= SIZE_MAX - LARGE ? r->size + LARGE : SIZE_MAX;
	uint8_t *all = mmap(NULL, room, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | populate, -1, 0);

	if (all == MAP_FAILED)
		return sx_fail(err, -errno,
			       "cannot map %zu MiB of memory: %s; ask for less by --memory",
			       r->size >> 20, strerror(errno));
	before = (size_t)(-(uintptr_t)all % LARGE);
	if (before)
		munmap(all, before);
	r->base = all + before;
	munmap(all + before + r->size, LARGE - before);
	r->fd = -1;
	r->page_size = PAGE;
	/* For people; kernels before 5.17 keep no names. */
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, r->base, r->size, name);
	return 0;
}

int sx_region_create(struct sx_region *r, const char *name, size_t size, unsigned flags,
		     struct sx_error *err)
{
	int rc;

	r->size = size;
	rc = flags & SX_REGION_PRIVATE ? create_private(r, name, flags, err)
				       : create_memfd(r, name, flags, err);
	if (rc < 0)
		memset(r, 0, sizeof(*r));
	return rc;
}

bool sx_region_holds(const struct sx_region *r, const void *at, size_t len)
{
	uintptr_t offset = (uintptr_t)at - (uintptr_t)r->base;

	return len && offset < r->size && len <= r->size - offset;
}

/*
 * By the file rather than the mapping (MADV_REMOVE), which refuses memory that is locked. KVM and
 * others who have mapped the file lose the pages too.
 */
static int discard_memfd(const struct sx_region *r, size_t begin, size_t len)
{
	return fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)begin,
			 (off_t)len);
}

/* Locked memory too, where the kernel (5.18) can do that. */
static int discard_private(const struct sx_region *r, size_t begin, size_t len)
{
	int rc = madvise((uint8_t *)r->base + begin, len, MADV_DONTNEED_LOCKED);

	if (rc < 0 && errno == EINVAL)
		rc = madvise((uint8_t *)r->base + begin, len, MADV_DONTNEED);
	return rc;
}

ssize_t sx_region_discard(const struct sx_region *r, const void *at, size_t len)
{
	size_t begin = (size_t)((uintptr_t)at - (uintptr_t)r->base);
	size_t end = (begin + len) / r->page_size * r->page_size;

	if (!sx_region_holds(r, at, len))
		return -EFAULT;
	begin = (begin + r->page_size - 1) / r->page_size * r->page_size;
	if (begin >= end)
		return 0;
	if ((r->fd < 0 ? discard_private(r, begin, end - begin)
		       : discard_memfd(r, begin, end - begin)) < 0)
		return -errno;
	return (ssize_t)(end - begin);
}

void sx_region_destroy(struct sx_region *r)
{
	if (!r->base)
		return;
	munmap(r->base, r->size);
	if (r->fd >= 0)
		close(r->fd);
	memset(r, 0, sizeof(*r));
}
