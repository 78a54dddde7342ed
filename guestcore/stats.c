// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/stats.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guestcore/kvm.h"

/* More than any kernel has; a bound on what we allocate on the kernel's word. */
#define MAX_STATS     1024
#define MAX_NAME      256
#define MAX_DATA_SIZE 65536

static int read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	ssize_t n = pread(fd, buf, len, (off_t)offset);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* Keep the scalar counters; returns 0 or a negative errno. */
static int load_descriptors(struct sx_stats *s, const struct kvm_stats_header *h)
{
	size_t size = sizeof(struct kvm_stats_desc) + h->name_size;
	union {
		struct kvm_stats_desc desc;
		char bytes[sizeof(struct kvm_stats_desc) + MAX_NAME];
	} u;

	for (uint32_t i = 0; i < h->num_desc; i++) {
		struct sx_stat *stat = &s->stat[s->count];
		uint32_t end;
		int rc = read_at(s->fd, &u, size, h->desc_offset + i * size);

		if (rc < 0)
			return rc;
		if (u.desc.size != 1)
			continue;
		end = u.desc.offset + (uint32_t)sizeof(uint64_t);
		if (end > MAX_DATA_SIZE)
			return -EIO;
		if (end > s->data_size)
			s->data_size = end;
		u.bytes[size - 1] = '\0';
		strncpy(stat->name, u.desc.name, sizeof(stat->name) - 1);
		stat->offset = u.desc.offset;
		s->count++;
	}
	return 0;
}

int sx_stats_open(struct sx_stats *s, int kvm_fd, struct sx_error *err)
{
	struct kvm_stats_header h;
	int rc;

	memset(s, 0, sizeof(*s));
	s->fd = sx_ioctl(kvm_fd, KVM_GET_STATS_FD, NULL);
	if (s->fd < 0)
		return sx_fail(err, s->fd, "cannot open KVM's statistics: %s", strerror(-s->fd));
	rc = read_at(s->fd, &h, sizeof(h), 0);
	if (rc == 0 && (h.num_desc > MAX_STATS || h.name_size > MAX_NAME))
		rc = -EIO;
	if (rc < 0)
		goto fail;
	s->data_offset = h.data_offset;
	s->stat = calloc(h.num_desc ? h.num_desc : 1, sizeof(*s->stat));
	if (!s->stat) {
		rc = -ENOMEM;
		goto fail;
	}
	rc = load_descriptors(s, &h);
	if (rc < 0)
		goto fail;
	s->data = calloc(1, s->data_size + sizeof(uint64_t));
	if (!s->data) {
		rc = -ENOMEM;
		goto fail;
	}
	return 0;
fail:
	sx_stats_close(s);
	return sx_fail(err, rc, "cannot read KVM's statistics: %s", strerror(-rc));
}

void sx_stats_close(struct sx_stats *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->data);
	free(s->stat);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}

int sx_stats_read(struct sx_stats *s)
{
	/* All counters at once: one system call, and a consistent set as far as KVM gives one. */
	int rc = read_at(s->fd, s->data, s->data_size, s->data_offset);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < s->count; i++)
		memcpy(&s->stat[i].value, (const char *)s->data + s->stat[i].offset,
		       sizeof(uint64_t));
	return 0;
}

uint64_t sx_stats_get(const struct sx_stats *s, const char *name)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (strcmp(s->stat[i].name, name) == 0)
			return s->stat[i].value;
	return 0;
}
