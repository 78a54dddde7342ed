// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest's life in each mode: it starts, finds all it is promised, and ends as it wants.
 */
#include "tests/support/world.h"

#include <string.h>

/* The assertions are in the guest. */
static void finds_what_it_is_promised(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "tests/selftest");
	uint32_t code = guest_run(g);

	assert_string_equal(g->said, "all well\n");
	assert_int_equal(code, 0);
	/* 42 misfits, each read, written and read again, and 5 writes to what is read-only. */
	assert_int_equal(g->m.testdev.refused, 42 * 3 + 5);
	assert_int_equal(g->m.twin.dev.refused, w->way->mode == SX_TRAP ? 42 * 3 + 5 : 0);
	/* On the shared page the 5 writes came to pass, and were undone. */
	assert_int_equal(g->m.twin.restored, w->way->mode == SX_SPLIT ? 5 : 0);
	assert_false(g->m.ring[SX_REQUEST_RING].server.refused);
	assert_false(g->m.ring[SX_STREAM_RING].server.refused);
}

static void says_hello(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "hello");

	assert_int_equal(guest_run(g), 0);
	assert_non_null(strstr(g->said, "hello from a guest"));
	assert_non_null(
		strstr(g->said, w->way->mode == SX_SPLIT ? "a sidecore" : "its own thread"));
}

static void end_with(struct world *w, uint32_t code)
{
	struct sx_machine_config config = world_config(w, "tests/code");
	struct guest *g;

	config.argument = code;
	g = guest_build_as(w, &config);
	assert_int_equal(guest_run(g), code);
	assert_int_equal(g->m.debug_exit.range.writes, 1);
	guest_destroy(g);
	w->guests--;
}

static void ends_with_any_code(void **state)
{
	static const uint32_t codes[] = {0, 1, 2, 31, 63, 64, 255, 256, 0x80000000, 0xffffffff};
	struct world *w = world_of(state);

	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		end_with(w, codes[i]);
}

/* It goes on behind the exit by which it ended, which is one more of the same. */
static void ends_again_when_run_again(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = guest_build(w, "first");

	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(guest_run(g), 0);
		assert_int_equal(g->m.debug_exit.range.writes, i);
	}
}

#define EVERY_WAY(FUNCTION)                                                           \
	SX_CASE(FUNCTION, trap), SX_CASE(FUNCTION, split), SX_CASE(FUNCTION, split2), \
		SX_CASE(FUNCTION, sleep), SX_CASE(FUNCTION, sleep2)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY_WAY(finds_what_it_is_promised),
		EVERY_WAY(says_hello),
		EVERY_WAY(ends_with_any_code),
		EVERY_WAY(ends_again_when_run_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
