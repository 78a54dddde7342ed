// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/region.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int sx_region_create(struct sx_region *r, const char *name, size_t size, unsigned flags,
		     struct sx_error *err)
{
	unsigned mfd = MFD_CLOEXEC | (flags & SX_REGION_HUGE ? MFD_HUGETLB : 0);
	int populate = flags & SX_REGION_PREFAULT ? MAP_POPULATE : 0;
	int rc;

	r->size = size;
	r->fd = memfd_create(name, mfd);
	if (r->fd < 0) {
		rc = sx_fail(err, -errno, "cannot create shared memory '%s': %s", name,
			     strerror(errno));
		goto fail;
	}
	if (ftruncate(r->fd, (off_t)size) < 0) {
		rc = sx_fail(err, -errno,
			     "cannot reserve %zu MiB of memory: %s; ask for less by --memory",
			     size >> 20, strerror(errno));
		goto fail_fd;
	}
	r->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | populate, r->fd, 0);
	if (r->base == MAP_FAILED) {
		rc = sx_fail(err, -errno, "cannot map %zu MiB of memory: %s; %s", size >> 20,
			     strerror(errno),
			     flags & SX_REGION_HUGE ? "reserve more in /proc/sys/vm/nr_hugepages"
						    : "ask for less by --memory");
		goto fail_fd;
	}
	return 0;

fail_fd:
	close(r->fd);
fail:
	memset(r, 0, sizeof(*r));
	return rc;
}

void sx_region_destroy(struct sx_region *r)
{
	if (!r->base)
		return;
	munmap(r->base, r->size);
	close(r->fd);
	memset(r, 0, sizeof(*r));
}
