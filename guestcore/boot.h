// SPDX-License-Identifier: BSD-3-Clause
/*
 * Boot protocols of kernels that nobody changed. What a kernel is, its file says:
 *
 *   bzImage    Linux, Documentation/arch/x86/boot.rst: the 64-bit boot protocol
 *   PVH        an ELF file with the note XEN_ELFNOTE_PHYS32_ENTRY (Xen, docs/misc/pvh.pandoc)
 *   Multiboot  an ELF or flat file with a Multiboot header (Multiboot Specification 0.6.96)
 *
 * No file is trusted. All functions here run before the guest does.
 */
#ifndef SX_GUESTCORE_BOOT_H
#define SX_GUESTCORE_BOOT_H

#include <stdbool.h>

#include "guestcore/vcpu.h"
#include "ipc/error.h"
#include "ipc/memmap.h"

#define SX_BOOT_MAX_INITRDS 16

struct sx_boot_request {
	const char *kernel; /* paths */
	const char *const *initrd;
	unsigned initrds; /* Linux unpacks one after the other; to others each is a module */
	const char *cmdline;
	sx_gpa low_end;     /* memory is [0, low_end) ... */
	uint64_t high_size; /* ... and [SX_PC_HIGH, + high_size) */
	sx_gpa rsdp;        /* of the ACPI tables; 0: there are none */
	bool vmx_lines;     /* something lies at SX_PC_VMX_LINES */
};

enum sx_boot_mode {
	SX_BOOT_PROTECTED, /* 32-bit flat segments, no paging */
	SX_BOOT_LONG,      /* 64-bit, the low 4 GiB mapped where they are */
};

/* The state in which the first vCPU starts. */
struct sx_boot_entry {
	const char *protocol;
	enum sx_boot_mode mode;
	bool legacy; /* it may know no timer but a PC's 8254 */
	uint64_t rip, rax, rbx, rsi;
};

/*
 * Load the kernel and all it is given into guest memory, and say how it is entered. Errors:
 * -ENOENT and -EACCES as from open(2), -ENOEXEC the file is no kernel we can start or damaged,
 * -EFBIG it does not fit into the memory, -EINVAL it takes no such command line.
 * The calling thread is an RCU reader, or no other thread changes @memory.
 */
int sx_boot_load(const struct sx_memmap *memory, const struct sx_boot_request *req,
		 struct sx_boot_entry *entry, struct sx_error *err);

/* Set the first of @vcpus to @entry. The others wait for INIT and SIPI. */
int sx_boot_start(const struct sx_vcpu *vcpu, unsigned vcpus, const struct sx_boot_entry *entry,
		  struct sx_error *err);

#endif
