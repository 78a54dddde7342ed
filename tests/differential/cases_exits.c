// SPDX-License-Identifier: BSD-3-Clause
/* Instructions of L2 that exit, or do not: SDM 3C 26.1, 26.3, and what an exit says, 28.2. */
#include "tests/differential/cases.h"

#define CR0_TS UINT64_C(8)

struct l2_insn {
	const char *name;
	uint8_t length;
	uint8_t code[10];
};

/* L2's registers: RAX, RBX, RCX and RDX are what a case says. */
struct registers {
	uint64_t rax, rbx, rcx, rdx;
};

static void run(const struct diff_case *c, const struct diff_vmcs *v, const struct l2_insn *insn,
		const struct registers *r)
{
	uint64_t gpr[GPRS] = {[RAX] = r->rax, [RBX] = r->rbx, [RCX] = r->rcx, [RDX] = r->rdx};

	diff_launch(c, v, insn->code, insn->length, gpr);
}

/* Exits that hang on nothing: 26.1.2. */
static void always(void)
{
	static const struct l2_insn list[] = {
		{"cpuid", 2, {0x0f, 0xa2}},
		{"cpuid-rex", 3, {0x48, 0x0f, 0xa2}},
		{"invd", 2, {0x0f, 0x08}},
		{"xsetbv", 3, {0x0f, 0x01, 0xd1}},
		{"vmcall", 3, {0x0f, 0x01, 0xc1}},
		{"vmlaunch", 3, {0x0f, 0x01, 0xc2}},
		{"vmresume", 3, {0x0f, 0x01, 0xc3}},
		{"vmxoff", 3, {0x0f, 0x01, 0xc4}},
		{"vmclear", 4, {0x66, 0x0f, 0xc7, 0x30}},
		{"vmclear-disp8", 5, {0x66, 0x0f, 0xc7, 0x70, 0xf0}},
		{"vmclear-sib", 9, {0x66, 0x0f, 0xc7, 0xb4, 0x8b, 0x00, 0x01, 0x00, 0x00}},
		{"vmclear-rip", 8, {0x66, 0x0f, 0xc7, 0x35, 0x10, 0x00, 0x00, 0x00}},
		{"vmclear-gs", 5, {0x65, 0x66, 0x0f, 0xc7, 0x30}},
		{"vmclear-absolute", 9, {0x66, 0x0f, 0xc7, 0x34, 0x25, 0x00, 0x00, 0x43, 0x00}},
		{"vmclear-r8", 5, {0x66, 0x41, 0x0f, 0xc7, 0x30}},
		{"vmptrld", 3, {0x0f, 0xc7, 0x30}},
		{"vmptrld-address32", 4, {0x67, 0x0f, 0xc7, 0x30}},
		{"vmptrst", 3, {0x0f, 0xc7, 0x38}},
		{"vmptrst-rsp", 5, {0x0f, 0xc7, 0x7c, 0x24, 0xf8}},
		{"vmxon", 4, {0xf3, 0x0f, 0xc7, 0x30}},
		{"vmread-register", 3, {0x0f, 0x78, 0xc3}},
		{"vmread-r9-r8", 4, {0x4d, 0x0f, 0x78, 0xc1}},
		{"vmread-memory", 3, {0x0f, 0x78, 0x03}},
		{"vmwrite-register", 3, {0x0f, 0x79, 0xc3}},
		{"vmwrite-memory", 4, {0x0f, 0x79, 0x43, 0x08}},
		{"invept", 5, {0x66, 0x0f, 0x38, 0x80, 0x03}},
		{"invvpid", 6, {0x66, 0x0f, 0x38, 0x81, 0x43, 0x10}},
	};
	const struct registers r = {AT_DATA, AT_DATA, 0, 0};
	struct diff_vmcs v;

	diff_base(&v);
	for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
		struct diff_case c = diff_case("always/%s", list[i].name);

		run(&c, &v, &list[i], &r);
	}
}

/* Exits that one control asks for; without it, L2 goes on to the VMCALL behind it. */
static void one_control(void)
{
	static const struct {
		struct l2_insn insn;
		uint32_t cpu, cpu2; /* the control */
		uint32_t enable; /* secondary control without which there is no such instruction */
		bool only_exit;  /* not executed for real: what it gives is the machine's own */
	} list[] = {
		{{"hlt", 1, {0xf4}}, SX_CPU_HLT, 0, 0, true},
		{{"invlpg", 3, {0x0f, 0x01, 0x3b}}, SX_CPU_INVLPG, 0, 0, false},
		{{"invlpg-disp", 4, {0x0f, 0x01, 0x7b, 0x08}}, SX_CPU_INVLPG, 0, 0, false},
		{{"rdpmc", 2, {0x0f, 0x33}}, SX_CPU_RDPMC, 0, 0, true},
		{{"rdtsc", 2, {0x0f, 0x31}}, SX_CPU_RDTSC, 0, 0, true},
		{{"rdtscp", 3, {0x0f, 0x01, 0xf9}}, SX_CPU_RDTSC, 0, SX_CPU2_RDTSCP, true},
		{{"pause", 2, {0xf3, 0x90}}, SX_CPU_PAUSE, 0, 0, false},
		{{"monitor", 3, {0x0f, 0x01, 0xc8}}, SX_CPU_MONITOR, 0, 0, true},
		{{"mwait", 3, {0x0f, 0x01, 0xc9}}, SX_CPU_MWAIT, 0, 0, true},
		{{"wbinvd", 2, {0x0f, 0x09}}, 0, SX_CPU2_WBINVD, 0, false},
		{{"sgdt", 3, {0x0f, 0x01, 0x03}}, 0, SX_CPU2_DESC_TABLE, 0, true},
		{{"str", 3, {0x0f, 0x00, 0x0b}}, 0, SX_CPU2_DESC_TABLE, 0, true},
		{{"rdrand", 3, {0x0f, 0xc7, 0xf3}}, 0, SX_CPU2_RDRAND, 0, true},
		{{"rdseed", 3, {0x0f, 0xc7, 0xfb}}, 0, SX_CPU2_RDSEED, 0, true},
		{{"mov-to-dr0", 3, {0x0f, 0x23, 0xc3}}, SX_CPU_MOV_DR, 0, 0, true},
		{{"mov-to-dr7", 3, {0x0f, 0x23, 0xfa}}, SX_CPU_MOV_DR, 0, 0, true},
		{{"mov-from-dr6", 3, {0x0f, 0x21, 0xf1}}, SX_CPU_MOV_DR, 0, 0, true},
		{{"mov-from-dr3-r9", 4, {0x41, 0x0f, 0x21, 0xd9}}, SX_CPU_MOV_DR, 0, 0, true},
	};
	const struct registers r = {0, AT_DATA, 0, 0};

	for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
		struct diff_case on = diff_case("control/%s", list[i].insn.name);
		struct diff_case off = diff_case("control/%s-off", list[i].insn.name);
		struct diff_case missing = diff_case("control/%s-missing", list[i].insn.name);
		struct diff_vmcs v;

		diff_base(&v);
		if (list[i].enable) {
			diff_or(&v, SX_VMCS_CPU_CONTROLS, list[i].cpu);
			run(&missing, &v, &list[i].insn, &r);
			diff_base(&v);
			diff_or_cpu2(&v, list[i].enable);
		}
		if (!list[i].only_exit)
			run(&off, &v, &list[i].insn, &r);
		diff_or(&v, SX_VMCS_CPU_CONTROLS, list[i].cpu);
		if (list[i].cpu2)
			diff_or_cpu2(&v, list[i].cpu2);
		run(&on, &v, &list[i].insn, &r);
	}
}

static void set_bit(uint64_t page, uint32_t bit, bool value)
{
	uint8_t *byte = (uint8_t *)diff_at(page) + bit / 8;

	*byte = (uint8_t)((*byte & ~(1 << bit % 8)) | value << bit % 8);
}

/* 26.1.3, 25.6.4: ports, all four ways to decide. Only ports that are there are really read. */
static void ports(void)
{
	static const struct l2_insn list[] = {
		{"in8", 1, {0xec}},
		{"in16", 2, {0x66, 0xed}},
		{"in32", 1, {0xed}},
		{"out8", 1, {0xee}},
		{"out32", 1, {0xef}},
		{"in8-imm", 2, {0xe4, 0x61}},
		{"out8-imm", 2, {0xe6, 0x80}},
		{"in32-imm", 2, {0xe5, 0xf4}},
	};
	static const uint16_t at[] = {0x80, 0x7fff, 0x8000, 0xfffe, 0xffff};
	struct diff_vmcs v;

	diff_base(&v);
	diff_or(&v, SX_VMCS_CPU_CONTROLS, SX_CPU_UNCOND_IO);
	for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
		for (unsigned n = 0; n < DIFF_COUNT(at); n++) {
			struct diff_case c = diff_case("io/%s-%x", list[i].name, (uint64_t)at[n]);
			const struct registers r = {0x1234, 0, 0, at[n]};

			run(&c, &v, &list[i], &r);
		}
	}
	/* With bitmaps, the unconditional control counts for nothing; the end of ports wraps. */
	diff_or(&v, SX_VMCS_CPU_CONTROLS, SX_CPU_IO_BITMAPS);
	for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
		for (unsigned n = 0; n < DIFF_COUNT(at); n++) {
			struct diff_case c =
				diff_case("io-bitmap/%s-%x", list[i].name, (uint64_t)at[n]);
			const struct registers r = {0x1234, 0, 0, at[n]};

			set_bit(at[n] < 0x8000 ? AT_IO_A : AT_IO_B, at[n] & 0x7fff, true);
			set_bit(AT_IO_A, 0x61, true);
			set_bit(AT_IO_A, 0x80, true);
			set_bit(AT_IO_A, 0xf7, true); /* the last byte of four at 0xf4 */
			run(&c, &v, &list[i], &r);
			set_bit(at[n] < 0x8000 ? AT_IO_A : AT_IO_B, at[n] & 0x7fff, false);
			set_bit(AT_IO_A, 0x80, false);
		}
	}
	set_bit(AT_IO_A, 0x61, false);
	set_bit(AT_IO_A, 0xf7, false);
}

/* Port 80H is free to be written. */
static void ports_that_do_not_exit(void)
{
	static const struct l2_insn out8 = {"", 1, {0xee}};
	const struct registers r = {0x12, 0, 0, 0x80};
	struct diff_case off = diff_case("io/out8-off");
	struct diff_case bitmap = diff_case("io-bitmap/out8-off");
	struct diff_vmcs v;

	diff_base(&v);
	run(&off, &v, &out8, &r);
	diff_or(&v, SX_VMCS_CPU_CONTROLS, SX_CPU_IO_BITMAPS | SX_CPU_UNCOND_IO);
	run(&bitmap, &v, &out8, &r);
}

/* 25.6.9: four bitmaps, and MSRs beyond them. */
static void msrs(void)
{
	static const struct l2_insn list[] = {{"rdmsr", 2, {0x0f, 0x32}},
					      {"wrmsr", 2, {0x0f, 0x30}}};
	static const uint32_t index[] = {0x0,        0x174,      0x1fff,     0x2000,
					 0x40000000, 0xc0000000, 0xc0000102, 0xc0001fff,
					 0xc0002000, 0xffffffff};
	struct diff_vmcs v;

	for (unsigned write = 0; write < 2; write++) {
		for (unsigned i = 0; i < DIFF_COUNT(index); i++) {
			struct diff_case all =
				diff_case("msr/%s-%x", list[write].name, (uint64_t)index[i]);
			struct diff_case bit =
				diff_case("msr-bitmap/%s-%x", list[write].name, (uint64_t)index[i]);
			const struct registers r = {0, 0, index[i], 0};
			uint32_t at = (index[i] & 0x1fff) + (index[i] >> 31 ? 8 * 1024 : 0) +
				      (write ? 8 * 2048 : 0);

			diff_base(&v);
			run(&all, &v, &list[write], &r);
			diff_or(&v, SX_VMCS_CPU_CONTROLS, SX_CPU_MSR_BITMAPS);
			set_bit(AT_MSRS, at, true);
			run(&bit, &v, &list[write], &r);
			set_bit(AT_MSRS, at, false);
		}
	}
}

/* One that does not exit: L2 really has the register. */
static void msrs_that_do_not_exit(void)
{
	static const struct l2_insn write_and_read = {"", 4, {0x0f, 0x30, 0x0f, 0x32}};
	const struct registers r = {0x5678, 0, SX_MSR_SYSENTER_CS, 0};
	struct diff_case c = diff_case("msr-bitmap/sysenter-cs-off");
	struct diff_vmcs v;

	diff_base(&v);
	diff_or(&v, SX_VMCS_CPU_CONTROLS, SX_CPU_MSR_BITMAPS);
	run(&c, &v, &write_and_read, &r);
}

/* 26.3, table 28-3: MOV to and from CR0 and CR4, with each mask and shadow that matters. */
static void masked_crs(void)
{
	static const struct {
		const char *name;
		uint32_t cr, gpr;
	} crs[] = {{"cr0", 0, RBX}, {"cr4", 4, RCX}};
	static const uint64_t flips[2][4] = {{0, 2, 8, 0x10000}, {0, 0x80, 4, 0x10}};

	for (unsigned which = 0; which < 2; which++) {
		uint64_t real = which ? DIFF_CR4 : DIFF_CR0;
		const struct l2_insn to = {
			"", 3, {0x0f, 0x22, (uint8_t)(0xc0 | crs[which].cr << 3 | crs[which].gpr)}};
		const struct l2_insn from = {
			"", 3, {0x0f, 0x20, (uint8_t)(0xc0 | crs[which].cr << 3 | crs[which].gpr)}};

		for (unsigned i = 0; i < 64; i++) {
			uint64_t mask = flips[which][i & 3], shadow = flips[which][i >> 2 & 3];
			uint64_t value = flips[which][i >> 4];
			struct diff_case write = diff_case("mask/to-%s-%x-%x-%x", crs[which].name,
							   mask, shadow, value);
			struct diff_case read = diff_case("mask/from-%s-%x-%x-%x", crs[which].name,
							  mask, shadow, value);
			const struct registers r = {0, real ^ value, real ^ value, 0};
			struct diff_vmcs v;

			diff_base(&v);
			diff_set(&v, which ? SX_VMCS_CR4_MASK : SX_VMCS_CR0_MASK, mask);
			diff_set(&v, which ? SX_VMCS_CR4_SHADOW : SX_VMCS_CR0_SHADOW,
				 real ^ shadow);
			run(&write, &v, &to, &r);
			if (value == 0)
				run(&read, &v, &from, &r);
		}
	}
}

/* What L2 may not do to its CR0 and CR4 in VMX operation: #GP, here an exit. */
static void forbidden_crs(void)
{
	static const struct l2_insn to_cr0 = {"", 3, {0x0f, 0x22, 0xc3}};
	static const struct l2_insn to_cr4 = {"", 3, {0x0f, 0x22, 0xe3}};
	static const uint64_t cr0[] = {0x20,       0x80000000, 1,          0x20000000,
				       0x40000000, 0x60000000, 0x100000000};
	static const uint64_t cr4[] = {0x20, 0x2000, 0x1000, 0x400000, 0x4000, UINT64_C(1) << 32};
	struct diff_vmcs v;

	diff_base(&v);
	diff_set(&v, SX_VMCS_EXCEPTION_BITMAP, SX_VMX_BIT(SX_VEC_GP));
	for (unsigned i = 0; i < DIFF_COUNT(cr0); i++) {
		struct diff_case c = diff_case("mask/gp-cr0-%x", cr0[i]);
		const struct registers r = {0, DIFF_CR0 ^ cr0[i], 0, 0};

		run(&c, &v, &to_cr0, &r);
	}
	for (unsigned i = 0; i < DIFF_COUNT(cr4); i++) {
		struct diff_case c = diff_case("mask/gp-cr4-%x", cr4[i]);
		const struct registers r = {0, DIFF_CR4 ^ cr4[i], 0, 0};

		run(&c, &v, &to_cr4, &r);
	}
}

/* CLTS and LMSW, whose rules are their own. */
static void clts_and_lmsw(void)
{
	static const struct l2_insn clts = {"", 2, {0x0f, 0x06}};
	static const struct l2_insn lmsw = {"", 3, {0x0f, 0x01, 0xf3}};
	static const struct l2_insn lmsw_memory = {"", 3, {0x0f, 0x01, 0x33}};

	for (unsigned i = 0; i < 8; i++) {
		struct diff_case c = diff_case("clts/%u", i);
		const struct registers r = {0};
		struct diff_vmcs v;

		diff_base(&v);
		diff_set(&v, SX_VMCS_CR0_MASK, i & 1 ? CR0_TS : 0);
		diff_set(&v, SX_VMCS_CR0_SHADOW, i & 2 ? CR0_TS : 0);
		diff_or(&v, SX_VMCS_GUEST_CR0, i & 4 ? CR0_TS : 0);
		run(&c, &v, &clts, &r);
	}
	for (unsigned i = 0; i < 64; i++) {
		struct diff_case c = diff_case("lmsw/%u", i);
		struct diff_case memory = diff_case("lmsw/%u-memory", i);
		struct registers r = {0, (i & 4 ? 1 : 0) | (i & 8 ? 2 : 0) | 0x8000, 0, 0};
		struct diff_vmcs v;

		diff_base(&v);
		diff_set(&v, SX_VMCS_CR0_MASK, (i & 1 ? 1 : 0) | (i & 2 ? 2 : 0));
		diff_set(&v, SX_VMCS_CR0_SHADOW, (i & 16 ? 1 : 0) | (i & 32 ? 2 : 0));
		run(&c, &v, &lmsw, &r);
		*(uint64_t *)diff_at(AT_DATA) = r.rbx;
		r.rbx = AT_DATA;
		if (i % 5 == 0)
			run(&memory, &v, &lmsw_memory, &r);
	}
}

static void cr3_and_cr8(void)
{
	static const struct l2_insn list[] = {
		{"to-cr3", 3, {0x0f, 0x22, 0xdb}},          {"from-cr3", 3, {0x0f, 0x20, 0xd9}},
		{"to-cr3-r9", 4, {0x41, 0x0f, 0x22, 0xd9}}, {"to-cr8", 4, {0x44, 0x0f, 0x22, 0xc3}},
		{"from-cr8", 4, {0x44, 0x0f, 0x20, 0xc1}},
	};
	static const uint32_t controls[] = {SX_CPU_CR3_LOAD, SX_CPU_CR3_STORE, SX_CPU_CR3_LOAD,
					    SX_CPU_CR8_LOAD, SX_CPU_CR8_STORE};

	for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
		struct diff_case on = diff_case("cr/%s", list[i].name);
		const struct registers r = {0, i < 3 ? AT_L2_PML4 : 7, 0, 0};
		struct diff_vmcs v;

		diff_base(&v);
		diff_or(&v, SX_VMCS_CPU_CONTROLS, controls[i]);
		run(&on, &v, &list[i], &r);
	}
	for (unsigned count = 0; count <= 4; count++) {
		struct diff_case c = diff_case("cr/to-cr3-targets%u", count);
		const struct registers r = {0, AT_L2_PML4, 0, 0};
		struct diff_vmcs v;

		diff_base(&v);
		diff_or(&v, SX_VMCS_CPU_CONTROLS, SX_CPU_CR3_LOAD);
		diff_set(&v, SX_VMCS_CR3_TARGET2, AT_L2_PML4);
		diff_set(&v, SX_VMCS_CR3_TARGET_COUNT, count);
		run(&c, &v, &list[0], &r);
	}
}

/* 30.3 and 30.1.2: CR8 is the virtual TPR, below a threshold an exit. */
static void tpr_shadow(void)
{
	static const struct l2_insn to_cr8 = {"", 4, {0x44, 0x0f, 0x22, 0xc3}};
	static const struct l2_insn from_cr8 = {"", 4, {0x44, 0x0f, 0x20, 0xc1}};

	for (uint64_t value = 0; value < 18; value++) {
		struct diff_case write = diff_case("tpr/to-cr8-%x", value);
		struct diff_case read = diff_case("tpr/from-cr8-%x", value);
		const struct registers r = {0, value, 0, 0};
		struct diff_vmcs v;

		diff_base(&v);
		diff_set(&v, SX_VMCS_EXCEPTION_BITMAP, SX_VMX_BIT(SX_VEC_GP));
		diff_or(&v, SX_VMCS_CPU_CONTROLS, SX_CPU_TPR_SHADOW);
		diff_set(&v, SX_VMCS_TPR_THRESHOLD, 5);
		*(uint32_t *)diff_at(AT_VAPIC + 0x80) = 0xf0;
		run(&write, &v, &to_cr8, &r);
		diff_say("%s+page: %x\n", write.name,
			 (uint64_t) * (uint32_t *)diff_at(AT_VAPIC + 0x80));
		diff_set(&v, SX_VMCS_TPR_THRESHOLD, 0);
		*(uint32_t *)diff_at(AT_VAPIC + 0x80) = (uint32_t)(value << 4 | 7);
		run(&read, &v, &from_cr8, &r);
	}
}

/* 25.6.3, 28.2.2: exceptions that exit. */
static void exceptions(void)
{
	static const struct l2_insn list[] = {
		{"ud2", 2, {0x0f, 0x0b}},
		{"int3", 1, {0xcc}},
		{"int1", 1, {0xf1}},
		{"rsm", 2, {0x0f, 0xaa}},
	};
	static const uint8_t vectors[] = {SX_VEC_UD, SX_VEC_BP, SX_VEC_DB, SX_VEC_UD};
	const struct registers r = {0};

	for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
		for (unsigned on = 0; on < 2; on++) {
			struct diff_case c =
				diff_case("exception/%s%s", list[i].name, on ? "" : "-off");
			struct diff_case rf =
				diff_case("exception/%s-rf%s", list[i].name, on ? "" : "-off");
			struct diff_vmcs v;

			diff_base(&v);
			diff_set(&v, SX_VMCS_EXCEPTION_BITMAP, on ? SX_VMX_BIT(vectors[i]) : 0);
			run(&c, &v, &list[i], &r);
			diff_or(&v, SX_VMCS_GUEST_RFLAGS, SX_X86_RFLAGS_RF);
			run(&rf, &v, &list[i], &r);
		}
	}
}

/* Events injected do not exit by the exception bitmap: 27.6.1.2. */
static void injected_exceptions(void)
{
	for (unsigned vector = 0; vector < 8; vector++) {
		struct diff_case c = diff_case("exception/injected-%u", vector);
		struct diff_vmcs v;

		diff_base(&v);
		diff_set(&v, SX_VMCS_EXCEPTION_BITMAP, 0xffffffff);
		diff_set(&v, SX_VMCS_ENTRY_INTR_INFO, SX_INTR_INFO(SX_INTR_HARDWARE, vector));
		diff_enter(&c, &v);
	}
}

/* 26.2, 27.7.5, 27.7.6: windows that are open, or not. */
static void windows(void)
{
	for (unsigned i = 0; i < 32; i++) {
		struct diff_case c = diff_case("window/intr-%u", i);
		struct diff_vmcs v;

		diff_base(&v);
		diff_or(&v, SX_VMCS_CPU_CONTROLS, SX_CPU_INTR_WINDOW);
		diff_or(&v, SX_VMCS_GUEST_RFLAGS, i & 1 ? SX_X86_RFLAGS_IF : 0);
		diff_set(&v, SX_VMCS_GUEST_INTERRUPTIBILITY,
			 (i & 2 ? SX_BLOCK_STI : 0) | (i & 4 ? SX_BLOCK_MOV_SS : 0) |
				 (i & 8 ? SX_BLOCK_NMI : 0));
		if (i & 16)
			diff_set(&v, SX_VMCS_ENTRY_INTR_INFO,
				 SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_UD));
		diff_enter(&c, &v);
	}
	/* Bochs' blocking of virtual NMIs outlives its L2: cases that block them come last. */
	for (unsigned i = 0; i < 32; i++) {
		struct diff_case c = diff_case("window/nmi-%u", i);
		struct diff_vmcs v;

		diff_base(&v);
		diff_or(&v, SX_VMCS_PIN_CONTROLS, SX_PIN_NMI | SX_PIN_VIRTUAL_NMIS);
		diff_or(&v, SX_VMCS_CPU_CONTROLS, SX_CPU_NMI_WINDOW);
		diff_or(&v, SX_VMCS_GUEST_RFLAGS, i & 1 ? SX_X86_RFLAGS_IF : 0);
		diff_set(&v, SX_VMCS_GUEST_INTERRUPTIBILITY,
			 (i & 2 ? SX_BLOCK_STI : 0) | (i & 4 ? SX_BLOCK_MOV_SS : 0) |
				 (i & 16 ? SX_BLOCK_NMI : 0));
		if (i & 8)
			diff_set(&v, SX_VMCS_ENTRY_INTR_INFO,
				 SX_INTR_INFO(SX_INTR_HARDWARE, SX_VEC_UD));
		diff_enter(&c, &v);
	}
}

/* 26.3: IRET ends the blocking of NMIs, or of virtual NMIs, which then are awaited. */
static void iret(void)
{
	static const struct l2_insn iretq = {"", 2, {0x48, 0xcf}};
	static const struct registers r = {0};
	uint64_t *frame = diff_at(AT_L2_STACK + 0x800);

	for (unsigned i = 0; i < 4; i++) {
		struct diff_case c = diff_case("window/iret-%u", i);
		struct diff_vmcs v;

		frame[0] = AT_L2_CODE + 2;
		frame[1] = DIFF_CODE_SEL;
		frame[2] = SX_X86_RFLAGS_1;
		frame[3] = AT_L2_STACK + 0x700;
		frame[4] = DIFF_DATA_SEL;
		diff_base(&v);
		diff_or(&v, SX_VMCS_PIN_CONTROLS,
			(i & 1 ? SX_PIN_NMI : 0) | (i & 2 ? SX_PIN_NMI | SX_PIN_VIRTUAL_NMIS : 0));
		diff_or(&v, SX_VMCS_CPU_CONTROLS, i == 2 ? SX_CPU_NMI_WINDOW : 0);
		diff_set(&v, SX_VMCS_GUEST_INTERRUPTIBILITY, SX_BLOCK_NMI);
		run(&c, &v, &iretq, &r);
	}
}

/* Several exits want to come first: 26.2, 26.5.1. */
static void priorities(void)
{
	for (unsigned i = 1; i < 16; i++) {
		struct diff_case c = diff_case("first/%u", i);
		struct diff_vmcs v;

		diff_base(&v);
		*(uint32_t *)diff_at(AT_VAPIC + 0x80) = 0xf0;
		diff_or(&v, SX_VMCS_GUEST_RFLAGS, SX_X86_RFLAGS_IF);
		diff_or(&v, SX_VMCS_PIN_CONTROLS,
			SX_PIN_NMI | SX_PIN_VIRTUAL_NMIS | (i & 1 ? SX_PIN_PREEMPTION_TIMER : 0));
		diff_or(&v, SX_VMCS_CPU_CONTROLS,
			(i & 2 ? SX_CPU_NMI_WINDOW : 0) | (i & 4 ? SX_CPU_INTR_WINDOW : 0));
		if (i & 8)
			diff_set(&v, SX_VMCS_GUEST_PENDING_DBG, SX_PENDING_DBG_BS);
		diff_set(&v, SX_VMCS_EXCEPTION_BITMAP, SX_VMX_BIT(SX_VEC_DB));
		diff_enter(&c, &v);
	}
}

/* What an exit saves of L2, control by control: 28.3. */
static void saving(void)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} list[] = {
		{"nothing", 0},
		{"pat", SX_EXITC_SAVE_PAT},
		{"efer", SX_EXITC_SAVE_EFER},
		{"load-pat", SX_EXITC_LOAD_PAT},
		{"load-efer", SX_EXITC_LOAD_EFER},
	};

	for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
		struct diff_case c = diff_case("save/%s", list[i].name);
		struct diff_case loaded = diff_case("save/%s-loaded", list[i].name);
		struct diff_vmcs v;

		diff_base(&v);
		diff_or(&v, SX_VMCS_EXIT_CONTROLS, list[i].bit);
		diff_set(&v, SX_VMCS_GUEST_PAT, UINT64_C(0x0606060606060606));
		diff_set(&v, SX_VMCS_GUEST_EFER, DIFF_EFER & ~SX_X86_EFER_SCE);
		diff_set(&v, SX_VMCS_GUEST_DR7, 0x403);
		diff_set(&v, SX_VMCS_GUEST_SYSENTER_ESP, 0x1111);
		diff_enter(&c, &v);
		diff_or(&v, SX_VMCS_ENTRY_CONTROLS, SX_ENTRYC_LOAD_PAT | SX_ENTRYC_LOAD_EFER);
		diff_enter(&loaded, &v);
	}
}

/* 28.4, 28.6: MSRs stored and loaded at an exit; what may not be, is an abort, and not tried. */
static void msr_areas(void)
{
	static const uint32_t stored[] = {0xc0000102, SX_MSR_EFER, SX_MSR_PAT, SX_MSR_SYSENTER_ESP,
					  SX_MSR_GS_BASE};
	struct diff_case c = diff_case("save/msr-areas");
	struct diff_vmcs v;

	diff_base(&v);
	for (unsigned i = 0; i < DIFF_COUNT(stored); i++) {
		*(uint64_t *)diff_at(AT_EXIT_STORE + 16 * i) = stored[i];
		*(uint64_t *)diff_at(AT_EXIT_STORE + 16 * i + 8) = 0;
	}
	*(uint64_t *)diff_at(AT_ENTRY_LOAD) = 0xc0000102;
	*(uint64_t *)diff_at(AT_ENTRY_LOAD + 8) = 0x1111;
	*(uint64_t *)diff_at(AT_EXIT_LOAD) = 0xc0000102;
	*(uint64_t *)diff_at(AT_EXIT_LOAD + 8) = 0x2222;
	diff_set(&v, SX_VMCS_ENTRY_MSR_LOAD_COUNT, 1);
	diff_set(&v, SX_VMCS_EXIT_MSR_LOAD_COUNT, 1);
	diff_set(&v, SX_VMCS_EXIT_MSR_STORE_COUNT, DIFF_COUNT(stored));
	diff_set(&v, SX_VMCS_GUEST_SYSENTER_ESP, 0x3333);
	diff_set(&v, SX_VMCS_GUEST_GS_BASE, 0x4444);
	diff_enter(&c, &v);
	for (unsigned i = 0; i < DIFF_COUNT(stored); i++)
		diff_say("save/msr-areas+stored%u: %x\n", i,
			 *(uint64_t *)diff_at(AT_EXIT_STORE + 16 * i + 8));
}

void diff_cases_exits(void)
{
	always();
	one_control();
	ports();
	ports_that_do_not_exit();
	msrs();
	msrs_that_do_not_exit();
	masked_crs();
	forbidden_crs();
	clts_and_lmsw();
	cr3_and_cr8();
	tpr_shadow();
	exceptions();
	injected_exceptions();
	priorities();
	windows();
	iret(); /* so the blocking has an end */
	saving();
	msr_areas();
}
