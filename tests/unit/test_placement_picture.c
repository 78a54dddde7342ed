// SPDX-License-Identifier: BSD-3-Clause
/*
 * The pictures of a plan: to the letter for small ones, by their rules for large ones.
 */
#include <errno.h>
#include <hwloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/placement.h"

#define REQ(...)  (&(struct sx_placement_request){__VA_ARGS__})
#define LOOK(...) (&(struct sx_placement_look){__VA_ARGS__})

static char *text_of(const struct sx_placement *p, const struct sx_placement_look *look)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(sx_placement_write_text(p, look, f), 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

static char *svg_of(const struct sx_placement *p)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(sx_placement_write_svg(p, f), 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

static unsigned count_of(const char *text, const char *word)
{
	unsigned n = 0;

	for (; (text = strstr(text, word)); text += strlen(word))
		n++;
	return n;
}

/* The longest line, in characters; each UTF-8 sequence is one. */
static unsigned widest(const char *text)
{
	unsigned now = 0, most = 0;

	for (; *text; text++) {
		if (*text == '\n')
			now = 0;
		else if (((unsigned char)*text & 0xc0) != 0x80)
			now++;
		most = now > most ? now : most;
	}
	return most;
}

static void want_text(const struct sx_placement_request *req, const struct sx_placement_look *look,
		      const char *want)
{
	struct sx_placement *p = want_plan(req);
	char *text = text_of(p, look);

	assert_string_equal(text, want);
	free(text);
	sx_placement_free(p);
}

/* --- text -------------------------------------------------------------------------------- */

static void a_small_machine_in_ascii(void **state)
{
	(void)state;
	want_text(REQ(.n_guest = 1, .n_side = 1, .topology = "pack:1 numa:1 l3:1 core:2 pu:1"),
		  LOOK(.columns = 80),
		  "1 package, 1 NUMA node, 2 cores, 2 CPUs\n"
		  "\n"
		  "+- Package 0 -----------+\n"
		  "| +- NUMA node 0 -----+ |\n"
		  "| | +- L3 cache ----+ | |\n"
		  "| | | +-0--+ +-1--+ | | |\n"
		  "| | | | S0 | | G0 | | | |\n"
		  "| | | +----+ +----+ | | |\n"
		  "| | +---------------+ | |\n"
		  "| +-------------------+ |\n"
		  "+-----------------------+\n"
		  "G guest core   S sidecore   . host\n"
		  "\n"
		  "vCPU 0 runs on guest core 0\n"
		  "sidecore 0 (CPU 0) serves guest core 0 (CPU 1)\n");
}

static void siblings_share_a_wall_in_utf8(void **state)
{
	(void)state;
	want_text(REQ(.guest_cores = "2,12", .n_guest = 3,
		      .topology = "numa:1 core:2 pu:2(indexes=0,12,2,13)", .allowed = "2,12,13"),
		  LOOK(.utf8 = true, .columns = 80),
		  "1 NUMA node, 2 cores, 4 CPUs\n"
		  "\n"
		  "┌─ NUMA node 0 ───────────┐\n"
		  "│ ┌─0──┬─12─┐ ┌─2──┬─13─┐ │\n"
		  "│ │ x  │ G1 │ │ G0 │ ·  │ │\n"
		  "│ └────┴────┘ └────┴────┘ │\n"
		  "└─────────────────────────┘\n"
		  "G guest core   · host   x not for this process\n"
		  "\n"
		  "vCPUs 0-2 take turns on guest cores 0-1\n"
		  "no sidecore serves guest cores 0-1 (CPUs 2,12): trap mode\n");
}

static void sidecores_say_whom_they_serve(void **state)
{
	struct sx_placement *p =
		want_plan(REQ(.guest_cores = "5-7,1,2", .sidecores = "3,4,0", .n_guest = 6,
			      .topology = "pack:1 numa:1 core:8 pu:1"));
	char *text = text_of(p, LOOK(.columns = 80));

	(void)state;
	assert_non_null(strstr(text, "vCPUs 0-5 take turns on guest cores 0-4\n"
				     "sidecore 0 (CPU 3) serves guest core 0 (CPU 5)\n"
				     "sidecore 1 (CPU 4) serves guest cores 1-2 (CPUs 6-7)\n"
				     "sidecore 2 (CPU 0) serves guest cores 3-4 (CPUs 1-2)\n"));
	free(text);
	sx_placement_free(p);

	p = want_plan(REQ(.n_guest = 1, .sidecores = "2,3", .topology = "core:4 pu:1"));
	text = text_of(p, LOOK(.columns = 80));
	assert_non_null(strstr(text, "sidecore 0 (CPU 2) has no guest core of its own\n"
				     "sidecore 1 (CPU 3) serves guest core 0 (CPU 1)\n"));
	free(text);
	sx_placement_free(p);
}

static void pictures_keep_to_the_columns(void **state)
{
	static const char *const shapes[] = {
		"pack:2 numa:1 l3:1 core:16 pu:2",
		"pack:2 numa:4 l3:2 core:4 pu:2",
		"pack:1 numa:1 l3:16 core:8 pu:1",
		"numa:2 pack:2 l3:1 core:4 pu:2",
		"core:100 pu:1",
		"pu:300",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (unsigned columns = 72; columns <= 240; columns += 42) {
			struct sx_placement *p =
				want_plan(REQ(.n_guest = 12, .n_side = 3, .topology = shapes[i]));
			char *text = text_of(p, LOOK(.utf8 = true, .columns = columns));

			assert_in_range(widest(text), 1, columns);
			/* Roles in the picture, and once each in the key. */
			assert_int_equal(count_of(text, " G0 ") + count_of(text, " G0\n"), 1);
			assert_int_equal(count_of(text, "G11"), 1);
			assert_int_equal(count_of(text, "S2"), 1);
			free(text);
			sx_placement_free(p);
		}
	}
}

static void boxes_in_a_column_are_equally_wide(void **state)
{
	struct sx_placement *p = want_plan(REQ(.n_guest = 1, .topology = "numa:11 core:1 pu:1"));
	char *text = text_of(p, LOOK(.columns = 20)), *save = NULL;
	unsigned lines = 0;

	(void)state;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strchr("+|", line[0]))
			continue;
		assert_int_equal(strlen(line), strlen("+- NUMA node 10 -+"));
		lines++;
	}
	assert_int_equal(lines, 11 * 5);
	free(text);
	sx_placement_free(p);
}

static void a_narrow_terminal_gets_a_picture_too(void **state)
{
	struct sx_placement *p =
		want_plan(REQ(.n_guest = 2, .topology = "pack:2 numa:1 l3:1 core:2 pu:4"));

	(void)state;
	for (unsigned columns = 0; columns < 20; columns++) {
		char *text = text_of(p, LOOK(.columns = columns));

		assert_int_equal(count_of(text, "G1"), 1);
		free(text);
	}
	sx_placement_free(p);
}

static void colours_are_written_only_when_wanted(void **state)
{
	struct sx_placement *p =
		want_plan(REQ(.n_guest = 1, .n_side = 1, .topology = "core:4 pu:1"));
	char *plain = text_of(p, LOOK(.columns = 80)), *to = plain;
	char *colour = text_of(p, LOOK(.colour = true, .columns = 80));
	size_t len;

	(void)state;
	assert_null(strchr(plain, '\033'));
	assert_true(count_of(colour, "\033[") > 4);
	/* The same picture, but for the codes. */
	for (const char *from = colour; *from; from += len) {
		len = *from == '\033' ? strcspn(from, "m") + 1 : 1;
		if (*from != '\033')
			assert_int_equal(*from, *to++);
	}
	assert_int_equal(*to, '\0');
	free(colour);
	free(plain);
	sx_placement_free(p);
}

/* --- SVG --------------------------------------------------------------------------------- */

/* Well-formed as far as these files go: tags nest, attributes are quoted, text is escaped. */
static void want_well_formed(const char *svg)
{
	const char *open[64], *end;
	size_t len[64];
	unsigned depth = 0;

	for (const char *at = svg; *at; at = end + 1) {
		at += strcspn(at, "<>");
		if (!*at)
			break;
		assert_int_equal(*at, '<');
		end = at + strcspn(at, ">");
		assert_int_equal(*end, '>');
		if (at[1] == '/') {
			assert_true(depth > 0);
			depth--;
			assert_memory_equal(open[depth], at + 2, len[depth]);
			assert_ptr_equal(at + 2 + len[depth], end);
		} else if (end[-1] != '/') {
			assert_true(depth < 64);
			open[depth] = at + 1;
			len[depth++] = strcspn(at + 1, " >");
		}
		assert_int_equal(count_of(at, "\"") % 2, count_of(end, "\"") % 2);
	}
	assert_int_equal(depth, 0);
}

static void an_svg_file_stands_alone(void **state)
{
	struct sx_placement *p = want_plan(
		REQ(.n_guest = 6, .n_side = 2, .topology = "pack:2 numa:1 l3:1 core:16 pu:2"));
	char *svg = svg_of(p);

	(void)state;
	want_well_formed(svg);
	assert_memory_equal(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\"", 39);
	assert_string_equal(svg + strlen(svg) - 7, "</svg>\n");
	assert_int_equal(count_of(svg, "http"), 1);
	assert_int_equal(count_of(svg, "url("), 0);
	assert_int_equal(count_of(svg, "<script"), 0);
	assert_int_equal(count_of(svg, "prefers-color-scheme:dark"), 1);
	assert_int_equal(count_of(svg, ">NUMA node "), 2);
	assert_int_equal(count_of(svg, ">core "), 32);
	assert_int_equal(count_of(svg, ">CPU "), 64);
	assert_int_equal(count_of(svg, ">G0<"), 1);
	assert_int_equal(count_of(svg, ">G5<"), 1);
	/* Itself, and at three guest cores each. */
	assert_int_equal(count_of(svg, ">S0<"), 4);
	assert_int_equal(count_of(svg, ">S1<"), 4);
	assert_int_equal(count_of(svg, ">guest core<"), 1);
	free(svg);
	sx_placement_free(p);
}

static void svg_warnings_are_wrapped_and_complete(void **state)
{
	struct sx_placement *p = want_plan(REQ(.guest_cores = "1,3", .sidecores = "2", .n_guest = 4,
					       .topology = "pack:1 numa:2 core:1 pu:2"));
	char *svg = svg_of(p);

	(void)state;
	assert_int_equal(sx_placement_warnings(p), 4);
	assert_int_equal(count_of(svg, "class=\"sign\""), 4);
	assert_int_equal(count_of(svg, "4 vCPUs share 2 guest cores"), 1);
	assert_int_equal(count_of(svg, "choose them from one node<"), 1);
	want_well_formed(svg);
	free(svg);
	sx_placement_free(p);
}

static void a_hostile_model_name_is_escaped(void **state)
{
	char path[] = "/tmp/splitx-test-XXXXXX.xml";
	struct sx_placement *p;
	hwloc_topology_t t;
	char *svg, *text;

	(void)state;
	close(mkstemps(path, 4));
	assert_int_equal(hwloc_topology_init(&t), 0);
	assert_int_equal(hwloc_topology_set_synthetic(t, "pack:1 core:2 pu:1"), 0);
	assert_int_equal(hwloc_topology_load(t), 0);
	assert_int_equal(hwloc_obj_add_info(hwloc_get_obj_by_type(t, HWLOC_OBJ_PACKAGE, 0),
					    "CPUModel", "A<b>&\tC\"</text>\xc3\xa9"),
			 0);
	assert_int_equal(hwloc_topology_export_xml(t, path, 0), 0);
	hwloc_topology_destroy(t);
	p = want_plan(REQ(.n_guest = 1, .topology = path));
	unlink(path);

	svg = svg_of(p);
	want_well_formed(svg);
	assert_non_null(strstr(svg, "A&lt;b&gt;&amp;?C\"&lt;/text&gt;"));
	text = text_of(p, LOOK(.columns = 80));
	assert_memory_equal(text, "A<b>&?C\"</text>", 15);
	free(text);
	free(svg);
	sx_placement_free(p);
}

/* --- refusal ----------------------------------------------------------------------------- */

static void a_full_disk_is_reported(void **state)
{
	struct sx_placement *p = want_plan(REQ(.n_guest = 1, .topology = "core:2 pu:1"));
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	assert_int_equal(sx_placement_write_text(p, LOOK(.columns = 80), full), -EIO);
	clearerr(full);
	assert_int_equal(sx_placement_write_svg(p, full), -EIO);
	fclose(full);
	sx_placement_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_machine_in_ascii),
		cmocka_unit_test(siblings_share_a_wall_in_utf8),
		cmocka_unit_test(sidecores_say_whom_they_serve),
		cmocka_unit_test(pictures_keep_to_the_columns),
		cmocka_unit_test(boxes_in_a_column_are_equally_wide),
		cmocka_unit_test(a_narrow_terminal_gets_a_picture_too),
		cmocka_unit_test(colours_are_written_only_when_wanted),
		cmocka_unit_test(an_svg_file_stands_alone),
		cmocka_unit_test(svg_warnings_are_wrapped_and_complete),
		cmocka_unit_test(a_hostile_model_name_is_escaped),
		cmocka_unit_test(a_full_disk_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
