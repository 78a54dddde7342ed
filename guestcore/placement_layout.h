// SPDX-License-Identifier: BSD-3-Clause
/*
 * A plan as nested boxes with sizes and places, in whatever unit the metrics are: characters for
 * the text picture, pixels for the SVG one.
 */
#ifndef SX_GUESTCORE_PLACEMENT_LAYOUT_H
#define SX_GUESTCORE_PLACEMENT_LAYOUT_H

#include "guestcore/placement_internal.h"

enum sx_box_kind {
	SX_BOX_MACHINE,
	SX_BOX_PACKAGE,
	SX_BOX_NODE,
	SX_BOX_CACHE,
	SX_BOX_CORE,
	SX_BOX_CPU,
	SX_BOX_KINDS,
};

/* Space inside the four edges, and between children. */
struct sx_box_insets {
	int left, right, top, bottom, gap_x, gap_y;
};

struct sx_box_metrics {
	struct sx_box_insets in[SX_BOX_KINDS];
	int cpu_w, cpu_h;
	int max_w; /* the machine's box is not wider if it can */
	int (*label_width)(enum sx_box_kind kind, const char *label); /* to have room for it */
};

#define SX_BOX_NONE UINT_MAX

struct sx_box {
	enum sx_box_kind kind;
	unsigned cpu;         /* index of the (first) CPU inside */
	unsigned child, next; /* indices of the first child and the next sibling, or SX_BOX_NONE */
	unsigned n_children;
	int x, y, w, h; /* from the machine's corner */
	char label[48];
};

struct sx_box_tree {
	struct sx_box *box; /* [0] is the machine; parents before their children */
	unsigned n;
};

/* Returns 0 or -ENOMEM. Free with sx_box_tree_free(). */
int sx_box_tree_make(const struct sx_placement *p, const struct sx_box_metrics *m,
		     struct sx_box_tree *tree);
void sx_box_tree_free(struct sx_box_tree *tree);

/* "2 packages, 2 NUMA nodes, 32 cores, 64 CPUs" */
void sx_place_describe(const struct sx_placement *p, char *buf, size_t size);
/* The machine's processor as it calls itself, printable ASCII only, or "". */
void sx_place_model(const struct sx_placement *p, char *buf, size_t size);
/*
 * The plan in words: line 0 says where the vCPUs run, the others whom each sidecore serves.
 * Returns 0 or -ENOMEM.
 */
unsigned sx_place_lines(const struct sx_placement *p);
int sx_place_line(const struct sx_placement *p, unsigned line, char *buf, size_t size);

#endif
