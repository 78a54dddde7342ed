// SPDX-License-Identifier: BSD-3-Clause
/*
 * The DSDT: what the PC has that cannot be found by asking it. Compiled by iasl when splitx is
 * built. Source: ACPI Specification 6.4, chapters 5, 6 and 19.
 *
 * Where the windows for BARs are depends on the guest's memory. They come from struct sx_acpi_env
 * (guestcore/acpi.h), which lies at SX_PC_ACPI_ENV.
 */
#include "guestcore/pc_map.h"

DefinitionBlock ("", "DSDT", 2, "SPLITX", "SPLITXPC", 1)
{
    Name (\_S5, Package () { SX_PC_S5_TYPE, 0, 0, 0 })

    Scope (\_SB)
    {
        OperationRegion (ENV, SystemMemory, SX_PC_ACPI_ENV, SX_PC_ACPI_ENV_SIZE)
        Field (ENV, QWordAcc, NoLock, Preserve)
        {
            HIGB, 64, // window above 4 GiB: base,
            HIGS, 64  // and size, 0 if there is none
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, SX_PC_UART, SX_PC_UART, 1, SX_PC_UART_PORTS)
                IRQNoFlags () { SX_PC_UART_GSI }
            })
        }

        // Whatever else answers at an address, so that nothing is put there.
        Device (MBRD)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, SX_PC_ECAM, SX_PC_ECAM_SIZE)
                IO (Decode16, SX_PC_POWER, SX_PC_POWER, 1, SX_PC_POWER_PORTS)
            })
        }

        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_SEG, 0)
            Name (_BBN, 0)
            Name (_UID, 0)
            Name (_CCA, 1)

            Name (LOWW, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0, 0, 0, 0, 1)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
                    NonCacheable, ReadWrite,
                    0, SX_PC_PCI_LOW, SX_PC_PCI_LOW_END, 0, SX_PC_PCI_LOW_SIZE)
            })
            Name (HIGW, ResourceTemplate ()
            {
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
                    Cacheable, ReadWrite,
                    0, 0, 0, 0, 0, , , WIN6)
            })

            Method (_CRS, 0, Serialized)
            {
                If (HIGS == 0)
                {
                    Return (LOWW)
                }
                CreateQWordField (HIGW, ^WIN6._MIN, WMIN)
                CreateQWordField (HIGW, ^WIN6._MAX, WMAX)
                CreateQWordField (HIGW, ^WIN6._LEN, WLEN)
                WMIN = HIGB
                WMAX = HIGB + HIGS - 1
                WLEN = HIGS
                Return (ConcatenateResTemplate (LOWW, HIGW))
            }
        }
    }
}
