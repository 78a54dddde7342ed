// SPDX-License-Identifier: BSD-3-Clause
/*
 * EPT12: the EPT paging structures that L1 keeps for L2, walked by software.
 *
 * SDM 3C 29.3: four levels, pages of 4 KiB, 2 MiB and 1 GiB, execute-only, accessed and dirty
 * flags, page-modification logging. The structures are L1's memory and may change or be nonsense
 * at any time; a walk reads each entry once and always ends after four.
 */
#ifndef SX_NESTED_EPT12_H
#define SX_NESTED_EPT12_H

#include "nested/vmx.h"

#define SX_EPTP_AD UINT64_C(0x40) /* accessed and dirty flags are kept: 25.6.11 */

struct sx_ept12_access {
	uint64_t gpa;     /* L2-physical */
	unsigned access;  /* SX_ACCESS_* ored; 0 only looks: no rights needed, no flags set */
	bool has_linear;  /* the access stems from linear address @linear */
	bool paging_walk; /* it is L2's paging structures that are accessed, on the way to @linear
			   */
	uint64_t linear;
};

enum sx_ept12_outcome {
	SX_EPT12_MAPPED,
	SX_EPT12_VIOLATION, /* exit is filled: reason 48 */
	SX_EPT12_MISCONFIG, /* exit is filled: reason 49 */
	SX_EPT12_PML_FULL,  /* exit is filled: reason 62 */
	SX_EPT12_RETRY,     /* an entry changed under the walk; do the access again */
};

struct sx_ept12_map {
	uint64_t gpa;    /* L1-physical address that the access reaches */
	uint64_t page;   /* size of the EPT12 page: 4 KiB, 2 MiB or 1 GiB */
	unsigned rights; /* SX_ACCESS_* that all entries of the walk allow */
	uint8_t memory_type;
	bool accessed; /* every entry's accessed flag, after this access */
	bool dirty;    /* the leaf's dirty flag, after this access */
};

/*
 * The rights that @access needs. 29.3.2: with accessed and dirty flags, accesses to L2's paging
 * structures count as writes.
 */
unsigned sx_ept12_effective(uint64_t eptp, const struct sx_ept12_access *access);

/*
 * Translate by the structures under @eptp, which passed sx_vmx_enter(). Sets accessed and dirty
 * flags where EPTP bit 6 asks for it, and logs to the PML buffer of the snapshot where its controls
 * ask for it. @map is filled when mapped; @exit's reason, qualification and addresses otherwise.
 */
enum sx_ept12_outcome sx_ept12_translate(struct sx_vmx *vmx, uint64_t eptp,
					 const struct sx_ept12_access *access,
					 struct sx_ept12_map *map, struct sx_vmx_exit *exit);

#endif
