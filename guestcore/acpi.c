// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/acpi.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* sx_dsdt[], from guestcore/acpi/dsdt.asl. */
#include "guestcore/acpi/dsdt.hex"

#define TABLES    (SX_PC_FIRMWARE + 0x1000)
#define ALIGNMENT 64u
#define OEM       "SPLITX"
#define OEM_TABLE "SPLITXPC"
#define CREATOR   "SPLX"

_Static_assert(SX_PC_ACPI_ENV + SX_PC_ACPI_ENV_SIZE <= TABLES, "the DSDT's page is before them");

struct rsdp { /* 5.2.5.3 */
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

struct header { /* 5.2.6 */
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem[6];
	char oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

enum gas_space {
	GAS_IO = 1,
};

struct gas { /* 5.2.3.2 */
	uint8_t space;
	uint8_t bits;
	uint8_t offset;
	uint8_t access;
	uint64_t address;
} __attribute__((packed));

enum fadt_flags {
	FADT_WBINVD = 1 << 0,
	FADT_NO_POWER_BUTTON = 1 << 4, /* no fixed one */
	FADT_NO_SLEEP_BUTTON = 1 << 5,
	FADT_RESET_REG = 1 << 10,
	FADT_HW_REDUCED = 1 << 20,
};

enum fadt_boot_arch { /* 5.2.9.3 */
		      FADT_NO_VGA = 1 << 2,
		      FADT_NO_CMOS_RTC = 1 << 5,
};

struct fadt { /* 5.2.9; registers that a hardware-reduced machine lacks stay zero */
	struct header h;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved;
	uint8_t profile;
	uint8_t legacy[63]; /* SCI_INT to CENTURY */
	uint16_t boot_arch;
	uint8_t reserved2;
	uint32_t flags;
	struct gas reset;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs;
	uint64_t x_dsdt;
	struct gas pm[8];
	struct gas sleep_control;
	struct gas sleep_status;
	char hypervisor[8];
} __attribute__((packed));

_Static_assert(offsetof(struct fadt, boot_arch) == 109, "as in 5.2.9");
_Static_assert(offsetof(struct fadt, flags) == 112, "as in 5.2.9");
_Static_assert(offsetof(struct fadt, sleep_control) == 244, "as in 5.2.9");
_Static_assert(sizeof(struct fadt) == 276, "as in 5.2.9");

struct madt { /* 5.2.12 */
	struct header h;
	uint32_t lapic;
	uint32_t flags; /* PCAT_COMPAT clear: there are no PICs */
} __attribute__((packed));

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_LAPIC_NMI = 4,
	MADT_X2APIC = 9,
};

#define MADT_ENABLED 1u

struct madt_lapic { /* 5.2.12.2 */
	uint8_t type, length, uid, id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic { /* 5.2.12.3 */
	uint8_t type, length, id, reserved;
	uint32_t address, first_gsi;
} __attribute__((packed));

struct madt_lapic_nmi { /* 5.2.12.7 */
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

struct madt_x2apic { /* 5.2.12.12 */
	uint8_t type, length;
	uint16_t reserved;
	uint32_t id, flags, uid;
} __attribute__((packed));

struct mcfg {
	struct header h;
	uint64_t reserved;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved2;
} __attribute__((packed));

struct xsdt {
	struct header h;
	uint64_t table[3];
} __attribute__((packed));

/* The firmware area while it is filled. */
struct writer {
	uint8_t *area;
	size_t used; /* from SX_PC_FIRMWARE */
	bool full;
};

static sx_gpa here(const struct writer *w)
{
	return SX_PC_FIRMWARE + w->used;
}

static void put(struct writer *w, const void *bytes, size_t len)
{
	if (len > SX_PC_RESET_VECTOR - SX_PC_FIRMWARE - w->used) {
		w->full = true;
		return;
	}
	memcpy(w->area + w->used, bytes, len);
	w->used += len;
}

static void align(struct writer *w)
{
	w->used = (w->used + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* What makes the bytes' sum 0 (5.2.6). */
static uint8_t checksum(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static struct header header(const char *signature, uint8_t revision)
{
	struct header h = {.revision = revision, .oem_revision = 1, .creator_revision = 1};

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem, OEM, sizeof(h.oem));
	memcpy(h.oem_table, OEM_TABLE, sizeof(h.oem_table));
	memcpy(h.creator, CREATOR, sizeof(h.creator));
	return h;
}

/* The table that was put from @at on ends here: its length and checksum are known. */
static sx_gpa finish(struct writer *w, sx_gpa at)
{
	uint8_t *table = w->area + (at - SX_PC_FIRMWARE);
	uint32_t length = (uint32_t)(here(w) - at);

	if (w->full)
		return at;
	memcpy(table + offsetof(struct header, length), &length, sizeof(length));
	table[offsetof(struct header, checksum)] = checksum(table, length);
	align(w);
	return at;
}

static struct gas port(uint16_t number)
{
	return (struct gas){.space = GAS_IO, .bits = 8, .access = 1, .address = number};
}

static sx_gpa put_fadt(struct writer *w, sx_gpa dsdt)
{
	struct fadt f = {
		.h = header("FACP", 6),
		.dsdt = (uint32_t)dsdt,
		.boot_arch = FADT_NO_VGA | FADT_NO_CMOS_RTC,
		.flags = FADT_WBINVD | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON |
			 FADT_RESET_REG | FADT_HW_REDUCED,
		.reset = port(SX_PC_POWER_RESET),
		.reset_value = SX_PC_RESET_VALUE,
		.minor = 4,
		.x_dsdt = dsdt,
		.sleep_control = port(SX_PC_POWER_SLEEP),
		.sleep_status = port(SX_PC_POWER_STATUS),
	};
	sx_gpa at = here(w);

	memcpy(f.hypervisor, OEM, sizeof(OEM));
	put(w, &f, sizeof(f));
	return finish(w, at);
}

/* An APIC ID of 255 and up needs an x2APIC entry; below that old kernels want the short one. */
static void put_cpu(struct writer *w, unsigned id)
{
	struct madt_lapic lapic = {
		.type = MADT_LAPIC,
		.length = sizeof(lapic),
		.uid = (uint8_t)id,
		.id = (uint8_t)id,
		.flags = MADT_ENABLED,
	};
	struct madt_x2apic x2apic = {
		.type = MADT_X2APIC,
		.length = sizeof(x2apic),
		.id = id,
		.flags = MADT_ENABLED,
		.uid = id,
	};

	if (id < 255)
		put(w, &lapic, sizeof(lapic));
	else
		put(w, &x2apic, sizeof(x2apic));
}

static sx_gpa put_madt(struct writer *w, unsigned vcpus)
{
	struct madt m = {.h = header("APIC", 5), .lapic = SX_PC_LAPIC};
	struct madt_ioapic ioapic = {
		.type = MADT_IOAPIC, .length = sizeof(ioapic), .address = SX_PC_IOAPIC};
	struct madt_lapic_nmi nmi = {
		.type = MADT_LAPIC_NMI, .length = sizeof(nmi), .uid = 0xff, .lint = 1};
	sx_gpa at = here(w);

	put(w, &m, sizeof(m));
	for (unsigned i = 0; i < vcpus; i++)
		put_cpu(w, i);
	put(w, &ioapic, sizeof(ioapic));
	put(w, &nmi, sizeof(nmi));
	return finish(w, at);
}

static sx_gpa put_mcfg(struct writer *w)
{
	struct mcfg m = {.h = header("MCFG", 1), .base = SX_PC_ECAM};
	sx_gpa at = here(w);

	put(w, &m, sizeof(m));
	return finish(w, at);
}

static sx_gpa put_xsdt(struct writer *w, sx_gpa fadt, sx_gpa madt, sx_gpa mcfg)
{
	struct xsdt x = {.h = header("XSDT", 1), .table = {fadt, madt, mcfg}};
	sx_gpa at = here(w);

	put(w, &x, sizeof(x));
	return finish(w, at);
}

static void put_rsdp(struct writer *w, sx_gpa xsdt)
{
	struct rsdp r = {.revision = 2, .length = sizeof(r), .xsdt = xsdt};

	memcpy(r.signature, "RSD PTR ", sizeof(r.signature));
	memcpy(r.oem, OEM, sizeof(r.oem));
	r.checksum = checksum(&r, 20);
	r.extended_checksum = checksum(&r, sizeof(r));
	memcpy(w->area, &r, sizeof(r));
}

/*
 * The reset vector of the firmware that this PC does not have, in 16-bit code: it resets. Linux
 * jumps there on a hardware-reduced machine without EFI, and does not look at the reset register
 * first (arch/x86/kernel/reboot.c).
 */
static void put_reset_vector(uint8_t *at)
{
	static const uint8_t code[] = {
		0xba,
		SX_PC_POWER_RESET & 0xff,
		SX_PC_POWER_RESET >> 8, /* mov dx, reset register */
		0xb0,
		SX_PC_RESET_VALUE, /* mov al, value */
		0xee,              /* out dx, al */
		0xf4,              /* hlt */
		0xeb,
		0xfd, /* jmp to the hlt */
	};

	memcpy(at, code, sizeof(code));
}

int sx_acpi_build(const struct sx_memmap *memory, const struct sx_acpi_config *config, sx_gpa *rsdp,
		  struct sx_error *err)
{
	const struct sx_acpi_env env = {config->high_base, config->high_size};
	const size_t size = SX_PC_EXTENDED - SX_PC_FIRMWARE;
	struct writer w = {.area = sx_memmap_at(memory, SX_PC_FIRMWARE, size, SX_WRITE)};
	sx_gpa dsdt, fadt, madt, mcfg;

	if (!w.area)
		return sx_fail(err, -EINVAL,
			       "a kernel needs more than 1 MiB of memory; give more by --memory");
	memset(w.area, 0, size);
	memcpy(w.area + (SX_PC_ACPI_ENV - SX_PC_FIRMWARE), &env, sizeof(env));
	w.used = TABLES - SX_PC_FIRMWARE;
	dsdt = here(&w);
	put(&w, sx_dsdt, sizeof(sx_dsdt));
	align(&w);
	fadt = put_fadt(&w, dsdt);
	madt = put_madt(&w, config->vcpus);
	mcfg = put_mcfg(&w);
	put_rsdp(&w, put_xsdt(&w, fadt, madt, mcfg));
	if (w.full)
		return sx_fail(err, -ENOSPC, "the ACPI tables of %u vCPUs do not fit",
			       config->vcpus);
	put_reset_vector(w.area + (SX_PC_RESET_VECTOR - SX_PC_FIRMWARE));
	*rsdp = SX_PC_FIRMWARE;
	return 0;
}
