// SPDX-License-Identifier: BSD-3-Clause
/*
 * The PC's address map: what the guest's memory map, its ACPI tables and the wiring agree on.
 * The ASL source (guestcore/acpi/dsdt.asl) reads this file too: plain numbers only.
 */
#ifndef SX_GUESTCORE_PC_MAP_H
#define SX_GUESTCORE_PC_MAP_H

/* Memory. What does not fit below SX_PC_LOW_END goes on at SX_PC_HIGH. */
#define SX_PC_EBDA         0x9FC00 /* conventional memory ends here, where firmware has its data */
#define SX_PC_ISA_HOLE     0xA0000
#define SX_PC_FIRMWARE     0xE0000 /* ACPI tables, up to SX_PC_EXTENDED */
#define SX_PC_RESET_VECTOR 0xFFFF0 /* F000:FFF0 */
#define SX_PC_EXTENDED     0x100000
#define SX_PC_LOW_END      0xC0000000
#define SX_PC_PCI_LOW      0xC0000000 /* window for BARs */
#define SX_PC_PCI_LOW_SIZE 0x20000000
#define SX_PC_PCI_LOW_END  0xDFFFFFFF /* its last byte */
#define SX_PC_ECAM         0xE0000000
#define SX_PC_ECAM_SIZE    0x100000
#define SX_PC_VMX_LINES    0xE0200000 /* of guests that nest: ipc/wire/vmx_line.h */
#define SX_PC_VMX_KICK     0xE03FF000 /* the page behind the last of them */
#define SX_PC_VMX_END      0xE0400000
#define SX_PC_IOAPIC       0xFEC00000
#define SX_PC_LAPIC        0xFEE00000
#define SX_PC_HIGH         0x100000000

/* struct sx_acpi_env, for the DSDT: in the firmware's area, behind the RSDP. */
#define SX_PC_ACPI_ENV      0xE0040
#define SX_PC_ACPI_ENV_SIZE 0x10

/* I/O ports. */
#define SX_PC_UART         0x3F8
#define SX_PC_UART_PORTS   8
#define SX_PC_UART_GSI     4
#define SX_PC_POWER        0x600 /* ACPI's sleep control, sleep status and reset registers */
#define SX_PC_POWER_SLEEP  0x600
#define SX_PC_POWER_STATUS 0x601
#define SX_PC_POWER_RESET  0x602
#define SX_PC_POWER_PORTS  3
#define SX_PC_KEYBOARD     0x64 /* of the keyboard controller nothing is there but its reset */
#define SX_PC_RESET_VALUE  1
#define SX_PC_S5_TYPE      5 /* SLP_TYPx of soft off */

#endif
