// SPDX-License-Identifier: BSD-3-Clause
/*
 * What --stats tells is what happened, each under the name of who did it.
 */
#include "tests/support/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/stats_print.h"
#include "cli/stats.h"
#include "tests/support/json.h"

#define POSTS 50

/* Two vCPUs that post on their rings for streams only. */
static struct guest *work(struct world *w)
{
	struct sx_machine_config config = world_config(w, "tests/work");
	struct guest *g;

	config.vcpus = 2;
	g = guest_build_as(w, &config);
	g->page->stream = 1;
	guest_work(g, TEST_POSTS, POSTS);
	return g;
}

static char *told(struct guest *g, bool json)
{
	struct sx_machine *m = &g->m;
	const struct sx_poller *poller[] = {
		&m->twin.poller,           &m->ring[0].server.poller, &m->ring[1].server.poller,
		&m->ring[2].server.poller, &m->ring[3].server.poller,
	};
	const struct sx_stats_view view = {
		.mode = m->mode,
		.vcpu = m->vcpu,
		.vcpus = m->config.vcpus,
		.bus = &m->bus,
		.sidecores = m->config.sidecores,
		.sidecore_count = m->config.sidecore_count,
		.server = m->server,
		.poller = poller,
		.pollers = 5,
		.ring = m->ring,
		.ring_count = m->ring_count,
	};
	json_t *stats = sx_stats_take(&view);
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_non_null(stats);
	assert_int_equal(json ? sx_stats_write(f, stats) : sx_stats_print(f, stats), 0);
	fclose(f);
	json_decref(stats);
	return text;
}

static void the_json_has_each_ring_of_each_vcpu(void **state)
{
	struct guest *g = work(world_of(state));
	char *text = told(g, true);
	json_t *root = json_loads(text, 0, NULL), *rings = json_object_get(root, "rings");

	assert_int_equal(json_array_size(rings), 4);
	for (unsigned i = 0; i < 4; i++) {
		json_t *ring = json_array_get(rings, i);

		assert_int_equal(json_number(ring, "vcpu"), i / 2);
		assert_string_equal(json_string_value(json_object_get(ring, "ring")),
				    i % 2 ? "stream" : "requests");
		/* The posts, and the question how many there were. */
		assert_int_equal(json_number(ring, "messages"), i % 2 ? POSTS + 1 : 0);
	}
	json_decref(root);
	free(text);
}

static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;

	for (; (text = strstr(text, word)); text += strlen(word))
		n++;
	return n;
}

/* Of two sidecores each is told with what runs on it, and nothing is told twice. */
static void pollers_are_told_with_their_sidecore(void **state)
{
	struct guest *g = work(world_of(state));
	char *text = told(g, false), *second = strstr(text, "sidecore 1 ");

	assert_non_null(strstr(text, "sidecore 0 "));
	assert_non_null(second);
	assert_int_equal(count(text, " polls, "), 2 + 1 + 4);
	assert_int_equal(count(second, " polls, "), 1 + 2);
	assert_null(strstr(second, "testdev-page"));
	free(text);
}

static void in_trap_mode_there_is_no_sidecore(void **state)
{
	struct guest *g = work(world_of(state));
	char *text = told(g, false);

	assert_null(strstr(text, "sidecore"));
	assert_int_equal(count(text, " polls, "), 0);
	assert_int_equal(count(text, "51 messages"), 2);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(the_json_has_each_ring_of_each_vcpu, trap),
		SX_CASE(the_json_has_each_ring_of_each_vcpu, split),
		SX_CASE(pollers_are_told_with_their_sidecore, split2),
		SX_CASE(in_trap_mode_there_is_no_sidecore, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
