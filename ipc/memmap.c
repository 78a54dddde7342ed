// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/memmap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/rcu.h"

#define PAGE_MASK 0xfffull
/* No processor has more than 52 bits of physical address (SDM Vol. 3A 4.1.4). */
#define GPA_LIMIT (1ull << 52)

struct sx_memmap_table {
	unsigned count;
	unsigned room;                 /* for so many ranges */
	struct sx_memmap_span range[]; /* sorted by gpa, disjoint */
};

static struct sx_memmap_table *table_new(unsigned room)
{
	struct sx_memmap_table *t = malloc(sizeof(*t) + room * sizeof(t->range[0]));

	if (t)
		*t = (struct sx_memmap_table){.room = room};
	return t;
}

int sx_memmap_init(struct sx_memmap *m)
{
	m->table = table_new(0);
	if (!m->table)
		return -ENOMEM;
	m->spare = NULL;
	pthread_mutex_init(&m->writers, NULL);
	return 0;
}

void sx_memmap_destroy(struct sx_memmap *m)
{
	free(m->table);
	free(m->spare);
	m->table = m->spare = NULL;
	pthread_mutex_destroy(&m->writers);
}

/* Index of the first range that ends after @gpa. */
static unsigned find(const struct sx_memmap_table *t, sx_gpa gpa)
{
	unsigned lo = 0, hi = t->count;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (gpa < t->range[mid].gpa + t->range[mid].size)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* A table for @count ranges that readers do not see: the spare one, if it is large enough. */
static struct sx_memmap_table *take_table(struct sx_memmap *m, unsigned count)
{
	struct sx_memmap_table *t = m->spare;

	if (t && t->room >= count)
		m->spare = NULL;
	else
		t = table_new(count);
	if (t)
		t->count = count;
	return t;
}

static void publish(struct sx_memmap *m, struct sx_memmap_table *fresh)
{
	struct sx_memmap_table *old = m->table;

	rcu_assign_pointer(m->table, fresh);
	synchronize_rcu();
	free(m->spare);
	m->spare = old;
}

int sx_memmap_add(struct sx_memmap *m, sx_gpa gpa, uint64_t size, void *hva, unsigned flags,
		  struct sx_error *err)
{
	struct sx_memmap_table *old, *fresh;
	unsigned at;
	int rc = 0;

	if (!size || ((gpa | size | (uintptr_t)hva) & PAGE_MASK))
		return sx_fail(err, -EINVAL,
			       "guest memory range 0x%" PRIx64 "+0x%" PRIx64
			       " is not made of whole pages; align it to 4 KiB",
			       gpa, size);
	if (gpa >= GPA_LIMIT || size > GPA_LIMIT - gpa)
		return sx_fail(err, -EINVAL,
			       "guest memory range 0x%" PRIx64 "+0x%" PRIx64
			       " lies beyond the 52 bits of a physical address; place it lower",
			       gpa, size);

	pthread_mutex_lock(&m->writers);
	old = m->table;
	at = find(old, gpa);
	if (at < old->count && old->range[at].gpa < gpa + size) {
		rc = sx_fail(err, -EEXIST,
			     "guest memory range 0x%" PRIx64 "+0x%" PRIx64
			     " overlaps the one at 0x%" PRIx64 "; move or shrink one of them",
			     gpa, size, old->range[at].gpa);
		goto out;
	}
	fresh = take_table(m, old->count + 1);
	if (!fresh) {
		rc = -ENOMEM;
		goto out;
	}
	memcpy(fresh->range, old->range, at * sizeof(fresh->range[0]));
	fresh->range[at] = (struct sx_memmap_span){gpa, size, hva, flags};
	memcpy(&fresh->range[at + 1], &old->range[at], (old->count - at) * sizeof(fresh->range[0]));
	publish(m, fresh);
out:
	pthread_mutex_unlock(&m->writers);
	return rc;
}

int sx_memmap_remove(struct sx_memmap *m, sx_gpa gpa)
{
	struct sx_memmap_table *old, *fresh;
	unsigned at;
	int rc = 0;

	pthread_mutex_lock(&m->writers);
	old = m->table;
	at = find(old, gpa);
	if (at == old->count || old->range[at].gpa != gpa) {
		rc = -ENOENT;
		goto out;
	}
	/*
	 * It is there and large enough: the table from before the last change had one range less
	 * than this one, or one more.
	 */
	fresh = m->spare;
	m->spare = NULL;
	fresh->count = old->count - 1;
	memcpy(fresh->range, old->range, at * sizeof(fresh->range[0]));
	memcpy(&fresh->range[at], &old->range[at + 1],
	       (old->count - at - 1) * sizeof(fresh->range[0]));
	publish(m, fresh);
out:
	pthread_mutex_unlock(&m->writers);
	return rc;
}

/* The range that holds @gpa, or NULL; *left is how many bytes it has from there on. */
static const struct sx_memmap_span *lookup(const struct sx_memmap *m, sx_gpa gpa, uint64_t *left)
{
	const struct sx_memmap_table *t = rcu_dereference(m->table);
	unsigned at = find(t, gpa);

	if (at == t->count || t->range[at].gpa > gpa)
		return NULL;
	*left = t->range[at].size - (gpa - t->range[at].gpa);
	return &t->range[at];
}

void *sx_memmap_at(const struct sx_memmap *m, sx_gpa gpa, uint64_t len, enum sx_access access)
{
	uint64_t left;
	const struct sx_memmap_span *r = lookup(m, gpa, &left);

	if (!r || !len || len > left)
		return NULL;
	if (access == SX_WRITE && (r->flags & SX_MEMMAP_READONLY))
		return NULL;
	return r->hva + (gpa - r->gpa);
}

int sx_memmap_span(const struct sx_memmap *m, sx_gpa gpa, struct sx_memmap_span *span)
{
	uint64_t left;
	const struct sx_memmap_span *r = lookup(m, gpa, &left);

	if (!r)
		return -EFAULT;
	*span = *r;
	return 0;
}

static int copy(const struct sx_memmap *m, sx_gpa gpa, uint8_t *buf, size_t len, enum sx_access acc)
{
	while (len) {
		uint64_t left;
		const struct sx_memmap_span *r = lookup(m, gpa, &left);
		size_t n;
		uint8_t *p;

		if (!r || (acc == SX_WRITE && (r->flags & SX_MEMMAP_READONLY)))
			return -EFAULT;
		n = len < left ? len : left;
		p = r->hva + (gpa - r->gpa);
		if (acc == SX_WRITE)
			memcpy(p, buf, n);
		else
			memcpy(buf, p, n);
		buf += n;
		gpa += n;
		len -= n;
	}
	return 0;
}

int sx_memmap_read(const struct sx_memmap *m, sx_gpa gpa, void *to, size_t len)
{
	return copy(m, gpa, to, len, SX_READ);
}

int sx_memmap_write(const struct sx_memmap *m, sx_gpa gpa, const void *from, size_t len)
{
	/* copy() only reads @buf for SX_WRITE. */
	return copy(m, gpa, (uint8_t *)(uintptr_t)from, len, SX_WRITE);
}
