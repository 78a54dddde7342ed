/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * What a micro-guest finds when it starts, and where.
 *
 * A micro-guest is an ELF64 program in long mode at CPL3 with an identity map of the low 4 GiB
 * (docs/architecture.md says why CPL3). RDI holds the address of struct sx_boot_info, RSI the
 * index of the vCPU, RSP the top of this vCPU's stack. Interrupts are enabled; IDTR points to
 * the page at SX_GUEST_IDT, empty and writable by the guest.
 */
#ifndef SX_WIRE_BOOT_H
#define SX_WIRE_BOOT_H

#include "ipc/wire/types.h"

/* Guest-physical layout below the program. */
#define SX_GUEST_GDT       0x1000u /* supervisor only */
#define SX_GUEST_IDT       0x2000u
#define SX_GUEST_BOOT_INFO 0x3000u
#define SX_GUEST_TABLES    0x4000u   /* page tables; supervisor only */
#define SX_GUEST_TSS_BASE  0xb000u   /* TSS with its I/O bitmap, 3 pages; supervisor only */
#define SX_GUEST_TSS_LIMIT 0x2068u   /* 104 bytes, and 8 KiB of the bitmap behind them */
#define SX_GUEST_IMAGE     0x100000u /* lowest address a program may be linked at */

/* Selectors in the GDT. */
#define SX_GUEST_CS  0x1bu /* 64-bit code, DPL 3 */
#define SX_GUEST_SS  0x23u /* data, DPL 3 */
#define SX_GUEST_TSS 0x28u

#define SX_GUEST_STACK_SIZE 0x10000u /* bytes for each vCPU, at the top of memory */
#define SX_GUEST_XAPIC      0xfee00000u

/* I/O ports. */
#define SX_PORT_UART       0x3f8
#define SX_PORT_DEBUG_EXIT 0xf4

/* What to write to ring_kick. */
#define SX_KICK_REQUESTS(vcpu) (2ull * (vcpu))
#define SX_KICK_STREAM(vcpu)   (2ull * (vcpu) + 1)

struct sx_boot_info {
	uint32_t version; /* SX_WIRE_VERSION; the guest checks it */
	uint32_t vcpus;
	uint64_t memory; /* bytes of guest memory, from 0 */
	uint64_t heap;   /* [heap, heap_end): free memory, 4 KiB aligned */
	uint64_t heap_end;
	uint32_t tsc_khz; /* 0: unknown */
	uint32_t split;   /* 1: a sidecore polls the twin and the rings */
	uint64_t testdev; /* registers that exit */
	uint64_t twin;    /* the shared-page twin; exits as `testdev` does when not split */
	/*
	 * testdev's rings, for each vCPU a small one for requests, which stays in the nearest
	 * caches, and a large one for streams of posts, in which producer and consumer keep out of
	 * each other's way.
	 */
	struct sx_boot_rings {
		uint64_t base; /* of vCPU 0; the others follow, `stride` apart */
		uint32_t order;
		uint32_t stride;
	} requests, streams;
	uint64_t ring_kick; /* write SX_KICK_...(vcpu) here to have a ring looked at: exits */
	uint32_t vector;    /* of testdev's interrupt, to vCPU 0 */
	uint32_t twin_vector;
	/* The VMX lines (vmx_line.h), SX_LINE_STRIDE apart by vCPU; 0: this machine nests not. */
	uint64_t vmx_lines;
	uint64_t argument; /* meant for the program: bench and tests pass a page's address */
};

#endif
