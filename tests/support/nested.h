// SPDX-License-Identifier: BSD-3-Clause
/* Micro-guests that are hypervisors, for integration tests (tests/guests/l1*.c). */
#ifndef SX_TESTS_SUPPORT_NESTED_H
#define SX_TESTS_SUPPORT_NESTED_H

#include "tests/support/world.h"

/* Who serves L1's line in the case's way, where L2 has no core of its own. */
enum sx_nested_place nested_place(const struct world *w);

/* The next guest of @w, not yet started. */
struct guest *nested_build(struct world *w, const char *program, unsigned vcpus, uint64_t argument,
			   enum sx_nested_place place);

/* Run it to its end: all is well, and every entry of L2 ended in an exit. */
struct sx_nested_stats nested_run(struct guest *g);

struct sx_nested_stats nested_stats(struct guest *g);

#endif
