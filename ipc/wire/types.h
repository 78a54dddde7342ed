/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * The integer types and the few helpers that all wire headers share.
 * Freestanding: a host program, a kernel module and a micro-guest compile the same files.
 */
#ifndef SX_WIRE_TYPES_H
#define SX_WIRE_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/*
 * Raised whenever any layout in ipc/wire/ changes. Both sides compare it before they talk;
 * there is no compatibility between versions.
 */
#define SX_WIRE_VERSION 2u

#define SX_CACHE_LINE 64

/* Pairs: every load names the store it acquires from, every store the load it releases to. */
#define sx_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define sx_load_relaxed(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define sx_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define sx_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

/*
 * Add to a counter that has one writer at a time and that others may look at. Relaxed, no pair:
 * each number stands alone.
 */
static inline void sx_count(uint64_t *counter, uint64_t n)
{
	sx_store_relaxed(counter, *counter + n);
}

/* Tell the processor that this is a spin loop (SDM Vol. 2B, PAUSE). */
static inline void sx_pause(void)
{
	__builtin_ia32_pause();
}

/*
 * Ask for the line at @at, to be written soon (SDM Vol. 2B, PREFETCHW). A hint that every 64-bit
 * processor decodes; as an instruction, because the builtin asks for a line to read where the
 * compiler's target has no PREFETCHW.
 */
static inline void sx_prefetch_to_write(const void *at)
{
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
}

#endif
