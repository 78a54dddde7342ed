// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>

#include "tests/differential/entry.h"

struct field {
	const char *name;
	uint32_t encoding;
};

#define ROW(name, encoding, word, bits) {#name, encoding},
static const struct field fields[] = {SX_VMCS_FIELDS(ROW)};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

#define VMCALL_BYTES 3
static const uint8_t vmcall[VMCALL_BYTES] = {0x0f, 0x01, 0xc1};
static const uint8_t vmlaunch[] = {0x0f, 0x01, 0xc2};

#define L2_CODE_ROOM 0x800

static const struct diff_change base_fields[] = {
	{SX_VMCS_PIN_CONTROLS, SX_PIN_DEFAULT1},
	{SX_VMCS_CPU_CONTROLS, SX_CPU_TRUE_DEFAULT1},
	{SX_VMCS_EXIT_CONTROLS, SX_EXITC_DEFAULT1 | SX_EXITC_HOST_64},
	{SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_DEFAULT1 | SX_ENTRYC_GUEST_64},
	{SX_VMCS_LINK_POINTER, UINT64_MAX},
	{SX_VMCS_IO_BITMAP_A, AT_IO_A},
	{SX_VMCS_IO_BITMAP_B, AT_IO_B},
	{SX_VMCS_MSR_BITMAP, AT_MSRS},
	{SX_VMCS_VIRTUAL_APIC, AT_VAPIC},
	{SX_VMCS_PML_ADDRESS, AT_PML},
	{SX_VMCS_GUEST_PML_INDEX, 511},
	{SX_VMCS_EPTP, AT_EPT | 0x1e},
	{SX_VMCS_VPID, 1},
	{SX_VMCS_ENTRY_MSR_LOAD_ADDR, AT_ENTRY_LOAD},
	{SX_VMCS_EXIT_MSR_STORE_ADDR, AT_EXIT_STORE},
	{SX_VMCS_EXIT_MSR_LOAD_ADDR, AT_EXIT_LOAD},
	{SX_VMCS_VMREAD_BITMAP, AT_VMREAD},
	{SX_VMCS_VMWRITE_BITMAP, AT_VMWRITE},
	{SX_VMCS_EPTP_LIST, AT_EPTP_LIST},
	{SX_VMCS_TSC_MULTIPLIER, UINT64_C(1) << 48},
	{SX_VMCS_HOST_CR0, DIFF_CR0},
	{SX_VMCS_HOST_CR4, DIFF_CR4},
	{SX_VMCS_HOST_EFER, DIFF_EFER},
	{SX_VMCS_HOST_PAT, UINT64_C(0x0007040600070406)},
	{SX_VMCS_HOST_CS_SEL, DIFF_CODE_SEL},
	{SX_VMCS_HOST_SS_SEL, DIFF_DATA_SEL},
	{SX_VMCS_HOST_DS_SEL, DIFF_DATA_SEL},
	{SX_VMCS_HOST_ES_SEL, DIFF_DATA_SEL},
	{SX_VMCS_HOST_FS_SEL, DIFF_DATA_SEL},
	{SX_VMCS_HOST_GS_SEL, DIFF_DATA_SEL},
	{SX_VMCS_HOST_TR_SEL, DIFF_TSS_SEL},
	{SX_VMCS_GUEST_CR0, DIFF_CR0},
	{SX_VMCS_GUEST_CR3, AT_L2_PML4},
	{SX_VMCS_GUEST_CR4, DIFF_CR4},
	{SX_VMCS_GUEST_EFER, DIFF_EFER},
	{SX_VMCS_GUEST_PAT, UINT64_C(0x0007040600070406)},
	{SX_VMCS_GUEST_DR7, 0x400},
	{SX_VMCS_GUEST_RIP, AT_L2_CODE},
	{SX_VMCS_GUEST_RSP, AT_L2_STACK + 0x800},
	{SX_VMCS_GUEST_RFLAGS, 2},
	{SX_VMCS_GUEST_GDTR_BASE, AT_L2_GDT},
	{SX_VMCS_GUEST_GDTR_LIMIT, 0x27},
	{SX_VMCS_GUEST_IDTR_BASE, AT_L2_IDT},
	{SX_VMCS_GUEST_IDTR_LIMIT, 0xfff},
	{SX_VMCS_GUEST_CS_SEL, DIFF_CODE_SEL},
	{SX_VMCS_GUEST_SS_SEL, DIFF_DATA_SEL},
	{SX_VMCS_GUEST_DS_SEL, DIFF_DATA_SEL},
	{SX_VMCS_GUEST_ES_SEL, DIFF_DATA_SEL},
	{SX_VMCS_GUEST_FS_SEL, DIFF_DATA_SEL},
	{SX_VMCS_GUEST_GS_SEL, DIFF_DATA_SEL},
	{SX_VMCS_GUEST_LDTR_SEL, 0x20},
	{SX_VMCS_GUEST_TR_SEL, DIFF_TSS_SEL},
	{SX_VMCS_GUEST_CS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_SS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_DS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_ES_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_FS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_GS_LIMIT, 0xffffffff},
	{SX_VMCS_GUEST_LDTR_LIMIT, 0xfff},
	{SX_VMCS_GUEST_TR_LIMIT, 0x67},
	{SX_VMCS_GUEST_CS_AR, 0xa09b},
	{SX_VMCS_GUEST_SS_AR, 0xc093},
	{SX_VMCS_GUEST_DS_AR, 0xc093},
	{SX_VMCS_GUEST_ES_AR, 0xc093},
	{SX_VMCS_GUEST_FS_AR, 0xc093},
	{SX_VMCS_GUEST_GS_AR, 0xc093},
	{SX_VMCS_GUEST_LDTR_AR, 0x82},
	{SX_VMCS_GUEST_TR_AR, 0x8b},
};

void diff_base(struct diff_vmcs *v)
{
	struct diff_way_back back;

	for (unsigned i = 0; i < SX_VMCS12_SLOTS; i++)
		v->slot[i] = 0;
	for (unsigned i = 0; i < sizeof(base_fields) / sizeof(base_fields[0]); i++)
		diff_set(v, base_fields[i].encoding, base_fields[i].value);
	diff_way_back(&back);
	diff_set(v, SX_VMCS_HOST_RIP, back.rip);
	diff_set(v, SX_VMCS_HOST_RSP, back.rsp);
	diff_set(v, SX_VMCS_HOST_CR3, back.cr3);
	diff_set(v, SX_VMCS_HOST_GDTR_BASE, back.gdtr);
	diff_set(v, SX_VMCS_HOST_IDTR_BASE, back.idtr);
	diff_set(v, SX_VMCS_HOST_TR_BASE, back.tr);
}

static void put64(uint64_t gpa, uint64_t value)
{
	*(uint64_t *)diff_at(gpa) = value;
}

/*
 * Identity paging of 8 MiB by pages of 2 MiB, the same directory under both kinds of tables. What
 * is accessed and dirty says so already.
 */
static void make_tables(void)
{
	put64(AT_L2_PML4, AT_L2_PDPT | 0x23);
	put64(AT_L2_PDPT, AT_L2_PD | 0x23);
	put64(AT_PDPTES, AT_L2_PD | 1);
	for (uint64_t i = 0; i < 4; i++)
		put64(AT_L2_PD + 8 * i, i << 21 | 0xe3);
}

static void make_descriptors(void)
{
	put64(AT_L2_GDT + DIFF_CODE_SEL, UINT64_C(0x00af9b000000ffff));
	put64(AT_L2_GDT + DIFF_DATA_SEL, UINT64_C(0x00cf93000000ffff));
	/* Every gate is an interrupt gate to a VMCALL behind L2's code. */
	for (uint64_t i = 0; i < 256; i++) {
		uint64_t to = AT_L2_CODE + L2_CODE_ROOM;

		put64(AT_L2_IDT + 16 * i, (to & 0xffff) | DIFF_CODE_SEL << 16 |
						  UINT64_C(0x8e00) << 32 |
						  (to >> 16 & 0xffff) << 48);
		put64(AT_L2_IDT + 16 * i + 8, 0);
	}
}

static void put_code(const uint8_t *code, unsigned length)
{
	uint8_t *at = diff_at(AT_L2_CODE);

	for (unsigned i = 0; i < length; i++)
		at[i] = code[i];
	for (unsigned i = 0; i < 2 * VMCALL_BYTES; i++)
		at[length + i] = vmcall[i % VMCALL_BYTES];
}

void diff_make_guest(void)
{
	uint8_t *handler = diff_at(AT_L2_CODE + L2_CODE_ROOM);

	make_tables();
	make_descriptors();
	for (unsigned i = 0; i < VMCALL_BYTES; i++)
		handler[i] = vmcall[i];
}

void diff_load(const struct diff_vmcs *v)
{
	static const uint8_t vmclear_rax[] = {0x66, 0x0f, 0xc7, 0x30};
	static const uint8_t vmptrld_rax[] = {0x0f, 0xc7, 0x30};
	uint64_t gpr[GPRS] = {[RAX] = AT_OPERAND};
	struct diff_host host;

	put64(AT_OPERAND, AT_VMCS);
	(void)diff_execute(vmclear_rax, sizeof(vmclear_rax), gpr, &host);
	(void)diff_execute(vmptrld_rax, sizeof(vmptrld_rax), gpr, &host);
	for (unsigned i = 0; i < FIELDS; i++) {
		uint64_t value = diff_get(v, fields[i].encoding);

		if (SX_VMCS_TYPE(fields[i].encoding) == SX_TYPE_EXIT_INFO)
			value = 0;
		if (!diff_vmwrite(fields[i].encoding, value) && value)
			diff_say("# %s: no such field\n", fields[i].name);
	}
}

static uint64_t get(uint32_t encoding)
{
	uint64_t value = 0;

	(void)diff_vmread(encoding, &value);
	return value;
}

static void say_if(const char *name, bool defined, uint64_t value)
{
	if (defined && value)
		diff_say(" %s=%x", name, value);
}

/* 28.2.5: exits that an instruction, or an event of software, has caused. */
static bool has_length(uint64_t reason, uint64_t intr_info, uint64_t idt_info)
{
	uint64_t event = reason == SX_VMEXIT_EXCEPTION_NMI ? intr_info : idt_info;

	if (event & SX_INTR_VALID)
		return SX_INTR_TYPE(event) >= SX_INTR_SOFTWARE &&
		       SX_INTR_TYPE(event) <= SX_INTR_SOFT_EXC;
	switch (reason) {
	case SX_VMEXIT_EXT_INTR:
	case SX_VMEXIT_TRIPLE_FAULT:
	case SX_VMEXIT_INTR_WINDOW:
	case SX_VMEXIT_NMI_WINDOW:
	case SX_VMEXIT_MONITOR_TRAP:
	case SX_VMEXIT_TPR_THRESHOLD:
	case SX_VMEXIT_EPT_VIOLATION:
	case SX_VMEXIT_EPT_MISCONFIG:
	case SX_VMEXIT_PREEMPTION_TIMER:
	case SX_VMEXIT_PML_FULL:
		return false;
	default:
		return !(reason & SX_VMEXIT_ENTRY_FAILURE);
	}
}

/* Those of the exits here whose instruction information 28.2.5 defines, tables 28-9 to 28-15. */
static bool has_info(uint64_t reason)
{
	switch (reason) {
	case SX_VMEXIT_VMCLEAR:
	case SX_VMEXIT_VMPTRLD:
	case SX_VMEXIT_VMPTRST:
	case SX_VMEXIT_VMREAD:
	case SX_VMEXIT_VMWRITE:
	case SX_VMEXIT_VMXON:
	case SX_VMEXIT_INVEPT:
	case SX_VMEXIT_INVVPID:
		return true;
	default:
		return false;
	}
}

/* What 28.2 leaves undefined is not said. */
static void say_information(void)
{
	uint64_t reason = get(SX_VMCS_EXIT_REASON);
	uint64_t qualification = get(SX_VMCS_EXIT_QUALIFICATION);
	uint64_t intr_info = get(SX_VMCS_EXIT_INTR_INFO);
	uint64_t idt_info = get(SX_VMCS_IDT_VECTORING_INFO);
	bool ept = reason == SX_VMEXIT_EPT_VIOLATION || reason == SX_VMEXIT_EPT_MISCONFIG;

	diff_say(" %x qual=%x", reason, qualification);
	say_if("intr", intr_info & SX_INTR_VALID, intr_info);
	say_if("error", intr_info & SX_INTR_ERROR_CODE, get(SX_VMCS_EXIT_ERROR_CODE));
	say_if("idt", idt_info & SX_INTR_VALID, idt_info);
	say_if("idterror", idt_info & SX_INTR_ERROR_CODE, get(SX_VMCS_IDT_VECTORING_ERROR));
	say_if("length", has_length(reason, intr_info, idt_info), get(SX_VMCS_EXIT_INSN_LENGTH));
	say_if("info", has_info(reason), get(SX_VMCS_EXIT_INSN_INFO));
	say_if("linear",
	       (reason == SX_VMEXIT_EPT_VIOLATION && (qualification & 0x80)) ||
		       (reason == SX_VMEXIT_CR_ACCESS && (qualification & 0x40)),
	       get(SX_VMCS_GUEST_LINEAR));
	say_if("physical", ept, get(SX_VMCS_GUEST_PHYSICAL));
}

static bool by_ept(uint64_t reason)
{
	return reason == SX_VMEXIT_EPT_VIOLATION || reason == SX_VMEXIT_EPT_MISCONFIG ||
	       reason == SX_VMEXIT_PML_FULL;
}

/* Fields that no longer are what was written; but RF after an exit by EPT has a case of its own. */
static void say_changes(const struct diff_vmcs *v)
{
	uint64_t rf = by_ept(get(SX_VMCS_EXIT_REASON)) ? SX_X86_RFLAGS_RF : 0;

	for (unsigned i = 0; i < FIELDS; i++) {
		uint32_t encoding = fields[i].encoding;
		uint64_t value, was = diff_get(v, encoding) & sx_vmcs_width_mask(encoding);

		if (SX_VMCS_TYPE(encoding) == SX_TYPE_EXIT_INFO)
			continue;
		if (!diff_vmread(encoding, &value) || value == was)
			continue;
		if (encoding != SX_VMCS_GUEST_RFLAGS || (value & ~rf) != (was & ~rf))
			diff_say(" %s=%x", fields[i].name, value);
	}
}

/* What 28.5 loads where nothing special is asked for. */
static void say_host(const struct diff_host *host)
{
	static const char *const names[] = {
		"cr0", "cr3",  "cr4",  "efer", "pat",  "rsp",  "rflags", "dr7",  "debugctl",
		"scs", "sesp", "seip", "es",   "cs",   "ss",   "ds",     "fs",   "gs",
		"tr",  "ldtr", "fsb",  "gsb",  "gdtb", "gdtl", "idtb",   "idtl", "kgsb",
	};
	struct diff_way_back back;
	struct diff_host usual = {{
		[HOST_WORD_CR0] = DIFF_CR0,
		[HOST_WORD_CR4] = DIFF_CR4,
		[HOST_WORD_EFER] = DIFF_EFER,
		[HOST_WORD_PAT] = UINT64_C(0x0007040600070406),
		[HOST_WORD_RFLAGS] = 2,
		[HOST_WORD_DR7] = 0x400,
		[HOST_WORD_ES] = DIFF_DATA_SEL,
		[HOST_WORD_CS] = DIFF_CODE_SEL,
		[HOST_WORD_SS] = DIFF_DATA_SEL,
		[HOST_WORD_DS] = DIFF_DATA_SEL,
		[HOST_WORD_FS] = DIFF_DATA_SEL,
		[HOST_WORD_GS] = DIFF_DATA_SEL,
		[HOST_WORD_TR] = DIFF_TSS_SEL,
		[HOST_WORD_GDTR_LIMIT] = 0xffff,
		[HOST_WORD_IDTR_LIMIT] = 0xffff,
	}};

	_Static_assert(sizeof(names) / sizeof(names[0]) == HOST_WORDS, "one name a word");
	diff_way_back(&back);
	usual.word[HOST_WORD_CR3] = back.cr3;
	usual.word[HOST_WORD_RSP] = back.rsp;
	usual.word[HOST_WORD_GDTR_BASE] = back.gdtr;
	usual.word[HOST_WORD_IDTR_BASE] = back.idtr;
	for (unsigned i = 0; i < HOST_WORDS; i++) {
		bool own = i == HOST_WORD_CR3; /* the machine's own place: what differs from it */

		if (host->word[i] != usual.word[i])
			diff_say(" host-%s=%x", names[i],
				 own ? host->word[i] ^ usual.word[i] : host->word[i]);
	}
}

void diff_launch(const struct diff_case *c, const struct diff_vmcs *v, const uint8_t *code,
		 unsigned length, uint64_t gpr[GPRS])
{
	uint64_t zeroes[GPRS] = {0}, before[GPRS];
	struct diff_host host;
	struct diff_end end;

	if (!gpr)
		gpr = zeroes;
	for (unsigned i = 0; i < GPRS; i++)
		before[i] = gpr[i];
	put_code(code, length);
	diff_load(v);
	end = diff_execute(vmlaunch, sizeof(vmlaunch), gpr, &host);
	diff_say_end(c, &end);
	if (end.kind == DIFF_EXIT) {
		say_information();
		say_changes(v);
		say_host(&host);
	}
	for (unsigned i = 0; i < GPRS; i++)
		if (gpr[i] != before[i])
			diff_say(" r%u=%x", i, gpr[i]);
	diff_say("\n");
}

void diff_enter(const struct diff_case *c, const struct diff_vmcs *v)
{
	diff_launch(c, v, vmcall, 0, NULL);
}
