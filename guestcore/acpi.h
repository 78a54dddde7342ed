// SPDX-License-Identifier: BSD-3-Clause
/*
 * The PC's ACPI tables, hardware-reduced: RSDP, XSDT, FADT, MADT, MCFG and the DSDT
 * (guestcore/acpi/dsdt.asl). Source: ACPI Specification 6.4, chapter 5; MCFG: PCI Firmware
 * Specification 3.3, 4.1.2.
 */
#ifndef SX_GUESTCORE_ACPI_H
#define SX_GUESTCORE_ACPI_H

#include <stdint.h>

#include "guestcore/pc_map.h"
#include "ipc/error.h"
#include "ipc/memmap.h"

struct sx_acpi_config {
	unsigned vcpus;     /* their APIC IDs are 0 and up */
	uint64_t high_base; /* window for BARs above 4 GiB ... */
	uint64_t high_size; /* ... 0: there is none */
};

/* What the DSDT is told; at SX_PC_ACPI_ENV. */
struct sx_acpi_env {
	uint64_t high_base;
	uint64_t high_size;
};

_Static_assert(sizeof(struct sx_acpi_env) == SX_PC_ACPI_ENV_SIZE, "the DSDT reads all of it");

/*
 * Write the tables, and a reset vector, into guest memory from SX_PC_FIRMWARE to SX_PC_EXTENDED,
 * before the guest runs.
 * *rsdp: where they begin.
 */
int sx_acpi_build(const struct sx_memmap *memory, const struct sx_acpi_config *config, sx_gpa *rsdp,
		  struct sx_error *err);

#endif
