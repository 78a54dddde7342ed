// SPDX-License-Identifier: BSD-3-Clause
/*
 * The guest-memory map: where guest-physical ranges lie in this process.
 *
 * A guest address is an sx_gpa, an integer that nobody can dereference. sx_memmap_at() is the one
 * gate that turns an address and a length, checked together, into a pointer.
 *
 * Readers take no lock: they hold an RCU snapshot of the table (ipc/rcu.h). Writers serialise on a
 * mutex and wait for a grace period before a range's memory may go away.
 */
#ifndef SX_IPC_MEMMAP_H
#define SX_IPC_MEMMAP_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"

typedef uint64_t sx_gpa;

enum sx_memmap_flags {
	SX_MEMMAP_READONLY = 1, /* the guest may not write it, so devices may not either */
};

struct sx_memmap_table;

struct sx_memmap {
	struct sx_memmap_table *table; /* RCU-protected, never NULL after init */
	struct sx_memmap_table
		*spare; /* the writers': the one before, so that a remove needs none */
	pthread_mutex_t writers;
};

int sx_memmap_init(struct sx_memmap *m);

/* No reader may be left. Does not unmap the ranges' memory, which belongs to who added it. */
void sx_memmap_destroy(struct sx_memmap *m);

/*
 * Add the range [gpa, gpa + size) at @hva. Page-aligned, not empty, not overlapping another, not
 * wrapping round: else -EINVAL or -EEXIST with the sentence in @err. The calling thread must not
 * be an online RCU reader: it would wait for itself.
 */
int sx_memmap_add(struct sx_memmap *m, sx_gpa gpa, uint64_t size, void *hva, unsigned flags,
		  struct sx_error *err);

/*
 * Remove the range that begins at @gpa; -ENOENT if there is none. On return no reader uses it. It
 * needs no memory, so it does not fail otherwise.
 * The calling thread must not be an online RCU reader (it would wait for itself).
 */
int sx_memmap_remove(struct sx_memmap *m, sx_gpa gpa);

enum sx_access {
	SX_READ,
	SX_WRITE,
};

/*
 * Pointer to @len bytes of guest memory at @gpa, all in one range, or NULL: not mapped, crosses
 * the end of its range, wraps round, length 0, or SX_WRITE to a read-only range. Valid until the
 * calling thread's next quiescent state. What lies there may change at any time: the guest runs.
 */
void *sx_memmap_at(const struct sx_memmap *m, sx_gpa gpa, uint64_t len, enum sx_access access);

/* A whole range, for who translates many addresses between two quiescent states. */
struct sx_memmap_span {
	sx_gpa gpa;
	uint64_t size;
	uint8_t *hva;
	unsigned flags; /* enum sx_memmap_flags */
};

/* The range that holds @gpa, or -EFAULT. Valid as long as what sx_memmap_at() gives. */
int sx_memmap_span(const struct sx_memmap *m, sx_gpa gpa, struct sx_memmap_span *span);

/*
 * A snapshot copy in or out; 0, or -EFAULT if any byte is not there, and then those before it may
 * have been copied. Ranges may be crossed.
 */
int sx_memmap_read(const struct sx_memmap *m, sx_gpa gpa, void *to, size_t len);
int sx_memmap_write(const struct sx_memmap *m, sx_gpa gpa, const void *from, size_t len);

#endif
