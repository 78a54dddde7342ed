// SPDX-License-Identifier: BSD-3-Clause
/*
 * Going through L2's accesses in software: each is translated by L2's page tables, whose own
 * addresses EPT12 translates, and then by EPT12; what the L2 VM does not map yet is mapped.
 */
#ifndef SX_NESTED_L2_TOUCH_H
#define SX_NESTED_L2_TOUCH_H

#include "nested/l2_fault.h"

/*
 * sx_ept12_translate() as an L2 VM needs it. Where EPT12 keeps dirty flags, SX_ACCESS_WRITE is
 * among the rights only once the flag is set, so that each page's first write comes out. With
 * @eptp 0 there is no EPT: L2's physical addresses are L1's.
 */
enum sx_ept12_outcome sx_l2_translate(struct sx_vmx *vmx, uint64_t eptp,
				      const struct sx_ept12_access *access,
				      struct sx_ept12_map *map, struct sx_vmx_exit *exit);

enum sx_l2_stop {
	SX_L2_GOES_ON,
	SX_L2_EXITS,  /* EPT12 said so: touch->exit is filled */
	SX_L2_FAULTS, /* a page fault of L2's own: touch->error */
	SX_L2_RETRY,  /* an entry of EPT12 changed under the walk */
	SX_L2_LOST,   /* it leads to no memory of L1, or cannot be mapped */
};

struct sx_l2_touch {
	struct sx_vmx *vmx;
	struct sx_l2_vm *vm;
	struct sx_l2_decoder *decoder;
	const struct sx_vmx_guest_state *state;
	struct sx_vmx_exit *exit;
	/*
	 * Count reads of L2's page tables as writes. Processors and KVM do where they keep
	 * accessed and dirty flags for their own second level, or always (AMD).
	 */
	bool tables_written;
	enum sx_l2_stop stop;
	uint32_t error;
	bool mapped; /* something was that had not been */
};

/*
 * Each returns true when L2 gets through, false when touch->stop says why not. Nothing more is to
 * be touched after a false, unless the caller sets touch->stop back.
 */

/* An L2-physical access; @l1 is where it leads. */
bool sx_l2_touch_physical(struct sx_l2_touch *touch, const struct sx_ept12_access *access,
			  uint64_t *l1);

/*
 * @size bytes at @linear, at CPL 3 if @user, as far as segmentation has let it through. With @buf
 * they are read too.
 */
bool sx_l2_touch_linear(struct sx_l2_touch *touch, uint64_t linear, size_t size, unsigned access,
			bool user, void *buf);

/* The descriptor that @selector names; with @mark its accessed or busy bit is set. */
bool sx_l2_touch_descriptor(struct sx_l2_touch *touch, uint16_t selector, bool mark,
			    uint64_t *descriptor);

/* What the delivery of @vector through the IDT touches: Vol. 3A 6.10 to 6.14, 20.1.4. */
bool sx_l2_touch_event(struct sx_l2_touch *touch, unsigned vector, bool error_code);

/*
 * IDT, GDT and TSS: what no instruction names but a processor may read at any time. What L2's own
 * paging does not map is passed over.
 */
bool sx_l2_touch_system_tables(struct sx_l2_touch *touch);

#endif
