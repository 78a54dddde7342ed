// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/placement_layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 32

/* --- the tree ---------------------------------------------------------------------------- */

static hwloc_obj_t place_of(const struct sx_place_cpu *cpu, enum sx_box_kind kind)
{
	switch (kind) {
	case SX_BOX_PACKAGE:
		return cpu->package;
	case SX_BOX_NODE:
		return cpu->node;
	case SX_BOX_CACHE:
		return cpu->cache;
	case SX_BOX_CORE:
		return cpu->core;
	default:
		return NULL;
	}
}

/* Into how many boxes the machine falls at a level. */
static unsigned runs(const struct sx_placement *p, enum sx_box_kind kind)
{
	unsigned n = 1;

	for (unsigned i = 1; i < p->n_cpus; i++)
		n += place_of(&p->cpu[i], kind) != place_of(&p->cpu[i - 1], kind);
	return n;
}

#define DEPTH 4

/* Outermost first: a node may hold several packages, or a package several nodes. */
static void order_levels(const struct sx_placement *p, enum sx_box_kind level[DEPTH])
{
	static const enum sx_box_kind usual[DEPTH] = {SX_BOX_PACKAGE, SX_BOX_NODE, SX_BOX_CACHE,
						      SX_BOX_CORE};

	memcpy(level, usual, sizeof(usual));
	for (unsigned i = 1; i < DEPTH; i++) {
		for (unsigned j = i; j && runs(p, level[j]) < runs(p, level[j - 1]); j--) {
			enum sx_box_kind outer = level[j];

			level[j] = level[j - 1];
			level[j - 1] = outer;
		}
	}
}

static void size_text(uint64_t bytes, char *buf, size_t size)
{
	static const char *const unit[] = {"KiB", "MiB", "GiB", "TiB"};
	unsigned u = 0;

	for (bytes = (bytes + 512) >> 10; bytes >= 10240 && u < 3; u++)
		bytes = (bytes + 512) >> 10;
	snprintf(buf, size, "%" PRIu64 " %s", bytes, unit[u]);
}

static void label_box(const struct sx_placement *p, struct sx_box *box)
{
	const struct sx_place_cpu *cpu = &p->cpu[box->cpu];
	hwloc_obj_t at = place_of(cpu, box->kind);
	uint64_t bytes = 0;
	char size[24] = "";
	int depth;

	if (p->know_sizes && box->kind == SX_BOX_NODE)
		bytes = at->attr->numanode.local_memory;
	if (p->know_sizes && box->kind == SX_BOX_CACHE)
		bytes = at->attr->cache.size;
	if (bytes)
		size_text(bytes, size, sizeof(size));
	switch (box->kind) {
	case SX_BOX_PACKAGE:
		snprintf(box->label, sizeof(box->label), "Package %u", at->os_index);
		break;
	case SX_BOX_NODE:
		snprintf(box->label, sizeof(box->label), "NUMA node %u%s%s", at->os_index,
			 bytes ? ", " : "", size);
		break;
	case SX_BOX_CACHE:
		depth = (int)at->attr->cache.depth;
		snprintf(box->label, sizeof(box->label), "L%d cache%s%s", depth, bytes ? ", " : "",
			 size);
		break;
	case SX_BOX_CORE:
		snprintf(box->label, sizeof(box->label), "core %u", at->os_index);
		break;
	default:
		break;
	}
}

static unsigned add_box(struct sx_box_tree *tree, const struct sx_placement *p,
			enum sx_box_kind kind, unsigned cpu)
{
	struct sx_box *box = &tree->box[tree->n];

	*box = (struct sx_box){.kind = kind, .cpu = cpu, .child = SX_BOX_NONE, .next = SX_BOX_NONE};
	label_box(p, box);
	return tree->n++;
}

static unsigned append(struct sx_box_tree *tree, unsigned parent, unsigned last, unsigned box)
{
	if (last == SX_BOX_NONE)
		tree->box[parent].child = box;
	else
		tree->box[last].next = box;
	tree->box[parent].n_children++;
	return box;
}

/*
 * Fill @parent with the CPUs [first, end): a box for each run of CPUs in one place of the first
 * of @level, and the rest of the levels in it. A place that the topology does not know, such as
 * the cache of a CPU that shares none, gets no box.
 */
static void fill(struct sx_box_tree *tree, const struct sx_placement *p, unsigned parent,
		 const enum sx_box_kind *level, unsigned n_levels, unsigned first, unsigned end,
		 unsigned *last)
{
	if (!n_levels) {
		for (unsigned i = first; i < end; i++)
			*last = append(tree, parent, *last, add_box(tree, p, SX_BOX_CPU, i));
		return;
	}
	while (first < end) {
		hwloc_obj_t at = place_of(&p->cpu[first], level[0]);
		unsigned stop = first + 1, inside = SX_BOX_NONE;

		while (stop < end && place_of(&p->cpu[stop], level[0]) == at)
			stop++;
		if (at) {
			*last = append(tree, parent, *last, add_box(tree, p, level[0], first));
			fill(tree, p, *last, level + 1, n_levels - 1, first, stop, &inside);
		} else {
			fill(tree, p, parent, level + 1, n_levels - 1, first, stop, last);
		}
		first = stop;
	}
}

/* --- sizes and places -------------------------------------------------------------------- */

struct layout {
	struct sx_box_tree *tree;
	const struct sx_box_metrics *m;
};

static void arrange(const struct layout *l, struct sx_box *box, int max_w);

static int max(int a, int b)
{
	return a > b ? a : b;
}

/* Containers in one grid are equally wide; cores may differ in their number of threads. */
static bool stretches(const struct sx_box *box)
{
	return box->kind != SX_BOX_CORE && box->kind != SX_BOX_CPU;
}

/* Set the children in rows of @columns; their places are relative to the box as yet. */
static void set_rows(const struct layout *l, struct sx_box *box, unsigned columns)
{
	const struct sx_box_insets *in = &l->m->in[box->kind];
	int cell_w = 0, cell_h = 0, rows = (int)((box->n_children + columns - 1) / columns);
	int n = 0;

	for (unsigned i = box->child; i != SX_BOX_NONE; i = l->tree->box[i].next) {
		cell_w = max(cell_w, l->tree->box[i].w);
		cell_h = max(cell_h, l->tree->box[i].h);
	}
	for (unsigned i = box->child; i != SX_BOX_NONE; i = l->tree->box[i].next, n++) {
		struct sx_box *child = &l->tree->box[i];

		child->x = in->left + n % (int)columns * (cell_w + in->gap_x);
		child->y = in->top + n / (int)columns * (cell_h + in->gap_y);
		if (stretches(child)) {
			child->w = cell_w;
			child->h = cell_h;
		}
	}
	box->w = in->left + (int)columns * (cell_w + in->gap_x) - in->gap_x + in->right;
	box->w = max(box->w, l->m->label_width(box->kind, box->label));
	box->h = in->top + rows * (cell_h + in->gap_y) - in->gap_y + in->bottom;
}

static void arrange_children(const struct layout *l, struct sx_box *box, unsigned columns,
			     int max_w)
{
	const struct sx_box_insets *in = &l->m->in[box->kind];
	int each = (max_w - in->left - in->right + in->gap_x) / (int)columns - in->gap_x;

	for (unsigned i = box->child; i != SX_BOX_NONE; i = l->tree->box[i].next)
		arrange(l, &l->tree->box[i], each);
	set_rows(l, box, columns);
}

/* How flat a grid is: its height, and one row more when the last row has holes. */
static int tallness(const struct sx_box *box, unsigned columns)
{
	int rows = (int)((box->n_children + columns - 1) / columns);

	return box->h + (box->n_children % columns ? box->h / rows : 0);
}

/*
 * Try the numbers of columns and keep the flattest that fits, the narrowest of those equally
 * flat; when none fits, one column.
 */
static void arrange(const struct layout *l, struct sx_box *box, int max_w)
{
	unsigned most = box->n_children < MAX_COLUMNS ? box->n_children : MAX_COLUMNS, best = 1;
	int least = INT_MAX;

	if (box->kind == SX_BOX_CPU) {
		box->w = l->m->cpu_w;
		box->h = l->m->cpu_h;
		return;
	}
	if (box->kind == SX_BOX_CORE) {
		arrange_children(l, box, box->n_children, max_w);
		return;
	}
	for (unsigned columns = 1; columns <= most; columns++) {
		arrange_children(l, box, columns, max_w);
		if (box->w <= max_w && tallness(box, columns) < least) {
			best = columns;
			least = tallness(box, columns);
		}
	}
	arrange_children(l, box, best, max_w);
}

int sx_box_tree_make(const struct sx_placement *p, const struct sx_box_metrics *m,
		     struct sx_box_tree *tree)
{
	struct layout l = {tree, m};
	enum sx_box_kind level[DEPTH];
	unsigned last = SX_BOX_NONE;

	/* At most one box for each CPU at each level, and the machine. */
	tree->n = 0;
	tree->box = calloc(1 + p->n_cpus * (DEPTH + 1), sizeof(*tree->box));
	if (!tree->box)
		return -ENOMEM;
	order_levels(p, level);
	fill(tree, p, add_box(tree, p, SX_BOX_MACHINE, 0), level, DEPTH, 0, p->n_cpus, &last);
	arrange(&l, &tree->box[0], m->max_w);
	for (unsigned i = 0; i < tree->n; i++) {
		for (unsigned c = tree->box[i].child; c != SX_BOX_NONE; c = tree->box[c].next) {
			tree->box[c].x += tree->box[i].x;
			tree->box[c].y += tree->box[i].y;
		}
	}
	return 0;
}

void sx_box_tree_free(struct sx_box_tree *tree)
{
	free(tree->box);
}

/* --- the words beside both pictures ------------------------------------------------------ */

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

void sx_place_describe(const struct sx_placement *p, char *buf, size_t size)
{
	static const struct {
		hwloc_obj_type_t type;
		const char *name;
	} what[] = {
		{HWLOC_OBJ_PACKAGE, "package"},
		{HWLOC_OBJ_NUMANODE, "NUMA node"},
		{HWLOC_OBJ_CORE, "core"},
		{HWLOC_OBJ_PU, "CPU"},
	};
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < sizeof(what) / sizeof(what[0]) && used < size; i++) {
		int n = hwloc_get_nbobjs_by_type(p->topology, what[i].type);

		if (n > 0) /* not every topology knows packages and cores */
			used += (size_t)snprintf(buf + used, size - used, "%s%d %s%s",
						 used ? ", " : "", n, what[i].name,
						 plural((unsigned)n));
	}
}

void sx_place_model(const struct sx_placement *p, char *buf, size_t size)
{
	hwloc_obj_t package = p->cpu[0].package;
	const char *name = package ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;

	snprintf(buf, size, "%s", name ? name : "");
	sx_place_make_printable(buf); /* a topology file may say anything */
}

/* Write the ascending runs of @number as "4-6,2"; a list that does not fit ends early. */
static void list_text(const unsigned *number, unsigned n, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0, end; i < n && used + 24 < size; i = end) {
		end = i + 1;
		while (end < n && number[end] == number[end - 1] + 1)
			end++;
		used += (size_t)snprintf(buf + used, size - used, "%s%u", i ? "," : "", number[i]);
		if (end - i > 1)
			used += (size_t)snprintf(buf + used, size - used, "-%u", number[end - 1]);
		if (end < n && used + 24 >= size)
			snprintf(buf + used, size - used, ",...");
	}
}

unsigned sx_place_lines(const struct sx_placement *p)
{
	return 1 + (p->n_side ? p->n_side : 1);
}

static void vcpu_line(const struct sx_placement *p, char *buf, size_t size)
{
	unsigned last = p->vcpus - 1, last_core = p->n_guest - 1;

	if (!last)
		snprintf(buf, size, "vCPU 0 runs on guest core 0");
	else if (!last_core)
		snprintf(buf, size, "vCPUs 0-%u take turns on guest core 0", last);
	else
		snprintf(buf, size, "vCPUs 0-%u %s guest cores 0-%u", last,
			 last == last_core ? "run on" : "take turns on", last_core);
}

int sx_place_line(const struct sx_placement *p, unsigned line, char *buf, size_t size)
{
	unsigned side = line - 1, n = 0, *number, *cpu;
	char cores[160], cpus[160];
	const char *s;

	if (line == 0) {
		vcpu_line(p, buf, size);
		return 0;
	}
	number = calloc(2 * (size_t)p->n_guest, sizeof(*number));
	if (!number)
		return -ENOMEM;
	cpu = number + p->n_guest;
	for (unsigned g = 0; g < p->n_guest; g++) {
		if (p->n_side && p->side_of[g] != side)
			continue;
		number[n] = g;
		cpu[n++] = sx_placement_guest_core(p, g);
	}
	s = plural(n);
	list_text(number, n, cores, sizeof(cores));
	list_text(cpu, n, cpus, sizeof(cpus));
	free(number);
	if (!p->n_side)
		snprintf(buf, size, "no sidecore serves guest core%s %s (CPU%s %s): trap mode", s,
			 cores, s, cpus);
	else if (n)
		snprintf(buf, size, "sidecore %u (CPU %u) serves guest core%s %s (CPU%s %s)", side,
			 sx_placement_sidecore(p, side), s, cores, s, cpus);
	else
		snprintf(buf, size, "sidecore %u (CPU %u) has no guest core of its own", side,
			 sx_placement_sidecore(p, side));
	return 0;
}
