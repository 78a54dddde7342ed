// SPDX-License-Identifier: BSD-3-Clause
/*
 * Boot protocol of micro-guests (ipc/wire/boot.h): long mode at CPL3, so that they run at the
 * processor's speed on every KVM, also on one that emulates CPL0 in software.
 */
#ifndef SX_GUESTCORE_MICROGUEST_H
#define SX_GUESTCORE_MICROGUEST_H

#include "guestcore/elf.h"
#include "guestcore/vcpu.h"
#include "ipc/wire/boot.h"

/* Memory that a micro-guest may have: its devices lie above, and all below 4 GiB. */
#define SX_MICROGUEST_MIN_MEMORY (4ull << 20)
#define SX_MICROGUEST_MAX_MEMORY (3ull << 30)

/*
 * Load the program at @path into the VM's memory [0, @memory), lay out tables and the boot info.
 * [@reserved, @memory) belongs to the host (rings); stacks for @vcpus lie below it. Fills
 * @info's version, vcpus, memory, heap and heap_end; the caller fills the rest and stores it by
 * sx_microguest_start().
 */
int sx_microguest_load(struct sx_vm *vm, const char *path, uint64_t memory, sx_gpa reserved,
		       unsigned vcpus, struct sx_boot_info *info, struct sx_elf_image *image,
		       struct sx_error *err);

/*
 * Store @info where the guest finds it, and set every vCPU to the program's entry, at @cpl: 3, or 0
 * for a program that takes no interrupts and is to be emulated.
 */
int sx_microguest_start(struct sx_vm *vm, struct sx_vcpu *vcpus, const struct sx_boot_info *info,
			const struct sx_elf_image *image, unsigned cpl, struct sx_error *err);

#endif
