// SPDX-License-Identifier: BSD-3-Clause
/* VMX instructions in VMX root operation, and outside of VMX operation: SDM 3C chapter 31. */
#include "tests/differential/cases.h"

struct insn {
	const char *name;
	uint8_t length;
	uint8_t code[10];
};

/* Their operands: memory at RAX; the field's encoding in RAX, value in RBX; type in RAX, at RBX. */
static const struct insn vmxon = {"vmxon", 4, {0xf3, 0x0f, 0xc7, 0x30}};
static const struct insn vmxoff = {"vmxoff", 3, {0x0f, 0x01, 0xc4}};
static const struct insn vmclear = {"vmclear", 4, {0x66, 0x0f, 0xc7, 0x30}};
static const struct insn vmptrld = {"vmptrld", 3, {0x0f, 0xc7, 0x30}};
static const struct insn vmptrst = {"vmptrst", 3, {0x0f, 0xc7, 0x38}};
static const struct insn vmread = {"vmread", 3, {0x0f, 0x78, 0xc3}};
static const struct insn vmread_memory = {"vmread-memory", 3, {0x0f, 0x78, 0x03}};
static const struct insn vmwrite = {"vmwrite", 3, {0x0f, 0x79, 0xc3}};
static const struct insn vmwrite_memory = {"vmwrite-memory", 3, {0x0f, 0x79, 0x03}};
static const struct insn vmlaunch = {"vmlaunch", 3, {0x0f, 0x01, 0xc2}};
static const struct insn vmresume = {"vmresume", 3, {0x0f, 0x01, 0xc3}};
static const struct insn vmcall = {"vmcall", 3, {0x0f, 0x01, 0xc1}};
static const struct insn vmfunc = {"vmfunc", 3, {0x0f, 0x01, 0xd4}};
static const struct insn invept = {"invept", 5, {0x66, 0x0f, 0x38, 0x80, 0x03}};
static const struct insn invvpid = {"invvpid", 5, {0x66, 0x0f, 0x38, 0x81, 0x03}};
static const struct insn movss_vmlaunch = {"movss-vmlaunch", 5, {0x8e, 0xd0, 0x0f, 0x01, 0xc2}};

static const struct insn *const all[] = {
	&vmclear,  &vmptrld,  &vmptrst, &vmread, &vmread_memory, &vmwrite, &vmwrite_memory,
	&vmlaunch, &vmresume, &vmcall,  &vmfunc, &invept,        &invvpid, &vmxoff,
};

static void run(const char *group, const char *what, const struct insn *insn, uint64_t rax,
		uint64_t rbx)
{
	struct diff_case c = diff_case("%s/%s%s", group, insn->name, what);
	uint64_t gpr[GPRS] = {[RAX] = rax, [RBX] = rbx};

	(void)diff_step(&c, DIFF_LONG, insn->code, insn->length, gpr);
}

static void run_at(const char *group, const char *what, const struct insn *insn, uint64_t pointer)
{
	*(uint64_t *)diff_at(AT_OPERAND) = pointer;
	run(group, what, insn, AT_OPERAND, 0);
}

static uint32_t revision(void)
{
	uint64_t basic = 0;

	(void)diff_rdmsr(SX_MSR_VMX_BASIC, &basic);
	return (uint32_t)basic;
}

static void put_revision(uint64_t gpa, uint32_t value)
{
	*(uint32_t *)diff_at(gpa) = value;
}

/* All of them with an operand that is good, or good enough to come that far. */
static void everything(const char *group)
{
	*(uint64_t *)diff_at(AT_OPERAND) = AT_VMXON;
	for (unsigned i = 0; i < DIFF_COUNT(all); i++)
		run(group, "", all[i], AT_OPERAND, AT_OPERAND);
}

/* 31.3: in compatibility mode there is none of them, and above CPL 0 they are not allowed. */
static void other_modes(const char *group)
{
	for (unsigned i = 0; i <= DIFF_COUNT(all); i++) {
		const struct insn *insn = i < DIFF_COUNT(all) ? all[i] : &vmxon;
		struct diff_case compat = diff_case("%s/%s-compat", group, insn->name);
		struct diff_case user = diff_case("%s/%s-user", group, insn->name);
		uint64_t gpr[GPRS] = {[RAX] = AT_OPERAND, [RBX] = AT_OPERAND};

		(void)diff_step(&compat, DIFF_COMPAT, insn->code, insn->length, gpr);
		(void)diff_step(&user, DIFF_USER, insn->code, insn->length, gpr);
	}
}

static const struct {
	const char *name;
	uint64_t pointer;
} bad_pointers[] = {
	{"-unaligned", AT_OTHER | 8},  {"-unaligned-2k", AT_OTHER | 0x800},
	{"-width", UINT64_C(1) << 40}, {"-width-top", UINT64_C(1) << 63},
	{"-ones", UINT64_MAX},
};

static void bad_addresses(const char *group, const struct insn *insn)
{
	for (unsigned i = 0; i < DIFF_COUNT(bad_pointers); i++)
		run_at(group, bad_pointers[i].name, insn, bad_pointers[i].pointer);
}

/* Operands that are nowhere: 31.3, exceptions of 64-bit mode. */
static void bad_operands(const char *group, const struct insn *insn)
{
	run(group, "-not-canonical", insn, UINT64_C(0x0000800000000000),
	    UINT64_C(0x0000800000000000));
	run(group, "-canonical-end", insn, UINT64_C(0x00007ffffffffffc),
	    UINT64_C(0x00007ffffffffffc));
	run(group, "-not-mapped", insn, UINT64_C(0x100000000), UINT64_C(0x100000000));
	run(group, "-half-mapped", insn, UINT64_C(0xfffffffc), UINT64_C(0xfffffffc));
}

static void memory_forms(const char *group)
{
	static const struct insn *const forms[] = {&vmxon, &vmclear, &vmptrld, &vmptrst};

	for (unsigned i = 0; i < DIFF_COUNT(forms); i++)
		bad_operands(group, forms[i]);
}

void diff_cases_before_vmxon(void)
{
	other_modes("off");
	everything("off");
	put_revision(AT_VMXON, revision());
	bad_addresses("off", &vmxon);
	bad_operands("off", &vmxon);
	put_revision(AT_OTHER, revision() + 1);
	run_at("off", "-revision", &vmxon, AT_OTHER);
	put_revision(AT_OTHER, revision() | SX_VMCS12_SHADOW);
	run_at("off", "-shadow", &vmxon, AT_OTHER);
	put_revision(AT_OTHER, 0);
	run_at("off", "", &vmxon, AT_VMXON);
}

/* In VMX operation, but no VMCS is current. */
static void none_current(void)
{
	other_modes("none");
	everything("none"); /* the last of which is VMXOFF */
	run_at("none", "", &vmxon, AT_VMXON);
	bad_addresses("none", &vmclear);
	bad_addresses("none", &vmptrld);
	run_at("none", "-current", &vmptrst, 0);
	run("none", "-bad-type", &invept, 3, AT_OPERAND);
	run("none", "-bad-type", &invvpid, 4, AT_OPERAND);
	run("none", "-bad-field", &vmread, 0x7fff, 0);
}

static void pointers(void)
{
	bad_addresses("current", &vmclear);
	bad_addresses("current", &vmptrld);
	run_at("current", "-is-vmxon", &vmclear, AT_VMXON);
	run_at("current", "-is-vmxon", &vmptrld, AT_VMXON);
	run_at("current", "-again", &vmxon, AT_OTHER);
	put_revision(AT_OTHER, revision() ^ 1);
	run_at("current", "-revision", &vmptrld, AT_OTHER);
	put_revision(AT_OTHER, 0);
	run_at("current", "-revision-0", &vmptrld, AT_OTHER);
	run_at("current", "-kept", &vmptrst, 0);
	put_revision(AT_OTHER, revision());
	run_at("current", "-other", &vmclear, AT_OTHER);
	run_at("current", "-kept-still", &vmptrst, 0);
	run_at("current", "-other", &vmptrld, AT_OTHER);
	run_at("current", "-other", &vmptrst, 0);
	run_at("current", "-itself", &vmclear, AT_OTHER);
	run_at("current", "-none", &vmptrst, 0);
	run_at("current", "-back", &vmptrld, AT_VMCS);
	memory_forms("current");
	other_modes("current");
}

/* 25.11.3, 31.3: launch states of two VMCSs, of which each keeps its own. */
static void launch_states(void)
{
	struct diff_vmcs v;

	diff_base(&v);
	put_revision(AT_OTHER, revision());
	diff_load(&v);
	run("launch", "-clear", &vmresume, 0, 0);
	run("launch", "-first", &vmlaunch, 0, 0);
	run("launch", "-again", &vmlaunch, 0, 0);
	run("launch", "-launched", &vmresume, 0, 0);
	run_at("launch", "-other", &vmclear, AT_OTHER);
	run_at("launch", "-other", &vmptrld, AT_OTHER);
	run("launch", "-other", &vmresume, 0, 0);
	run("launch", "-other-empty", &vmlaunch, 0, 0);
	run_at("launch", "-back", &vmptrld, AT_VMCS);
	run("launch", "-back", &vmresume, 0, 0);
	run_at("launch", "-current", &vmclear, AT_VMCS);
	run("launch", "-none", &vmresume, 0, 0);
	run_at("launch", "-cleared", &vmptrld, AT_VMCS);
	run("launch", "-cleared", &vmresume, 0, 0);
	run("launch", "-cleared", &vmlaunch, 0, 0);
	diff_load(&v);
	run("launch", "-clear", &movss_vmlaunch, DIFF_DATA_SEL, 0);
	run("launch", "-after-movss", &vmlaunch, 0, 0);
	run("launch", "-launched", &movss_vmlaunch, DIFF_DATA_SEL, 0);
}

/* 25.10: a shadow VMCS can be current, read and written, but not entered. */
static void shadow(void)
{
	put_revision(AT_SHADOW, revision() | SX_VMCS12_SHADOW);
	run_at("shadow", "", &vmclear, AT_SHADOW);
	run_at("shadow", "", &vmptrld, AT_SHADOW);
	run("shadow", "", &vmwrite, SX_VMCS_GUEST_RIP, 0x1234);
	run("shadow", "", &vmread, SX_VMCS_GUEST_RIP, 0);
	run("shadow", "", &vmlaunch, 0, 0);
	run("shadow", "", &vmresume, 0, 0);
	run("shadow", "", &movss_vmlaunch, DIFF_DATA_SEL, 0);
	run_at("shadow", "-done", &vmclear, AT_SHADOW);
}

static void put_descriptor(uint64_t low, uint64_t high)
{
	uint64_t *at = diff_at(AT_DATA);

	at[0] = low;
	at[1] = high;
}

static void invalidations(void)
{
	static const uint64_t types[] = {0, 1, 2, 3, 4, 0x100000001, UINT64_MAX};
	static const uint64_t eptps[] = {AT_EPT | 0x1e, AT_EPT | 0x18, AT_EPT | 0x1f,
					 AT_EPT | 0x16, AT_EPT | 0x9e, UINT64_C(1) << 40 | 0x1e};
	static const struct {
		uint64_t low, high;
	} vpids[] = {
		{1, 0},           {0, 0},
		{0x10001, 0},     {UINT64_C(1) << 63 | 1, 0},
		{0xffff, 0x1000}, {1, UINT64_C(0x0000800000000000)},
	};

	for (unsigned i = 0; i < DIFF_COUNT(types); i++) {
		for (unsigned n = 0; n < DIFF_COUNT(eptps); n++) {
			struct diff_case what = diff_case("-type%x-eptp%u", types[i], n);

			put_descriptor(eptps[n], 0);
			run("inv", what.name, &invept, types[i], AT_DATA);
		}
		for (unsigned n = 0; n < DIFF_COUNT(vpids); n++) {
			struct diff_case what = diff_case("-type%x-vpid%u", types[i], n);

			put_descriptor(vpids[n].low, vpids[n].high);
			run("inv", what.name, &invvpid, types[i], AT_DATA);
		}
	}
	put_descriptor(AT_EPT | 0x1e, 1);
	run("inv", "-upper-half", &invept, 1, AT_DATA);
	put_descriptor(0, 0);
	run("inv", "-half-mapped", &invept, 2, 0xfffffff8);
	run("inv", "-half-mapped", &invvpid, 2, 0xfffffff8);
	run("inv", "-not-canonical", &invept, 2, UINT64_C(1) << 63);
	run("inv", "-not-canonical-bad-type", &invept, 9, UINT64_C(1) << 63);
}

/* The same instruction written in other ways, and ways in which it is none. */
static void encodings(void)
{
	static const struct insn list[] = {
		{"rip-relative", 7, {0x0f, 0xc7, 0x3d, 0xf9, 0xff, 0x00, 0x00}}, /* at AT_DATA */
		{"disp8", 4, {0x0f, 0xc7, 0x78, 0x10}},
		{"disp32", 7, {0x0f, 0xc7, 0xb8, 0x10, 0, 0, 0}},
		{"sib", 5, {0x0f, 0xc7, 0x7c, 0x58, 0xf8}}, /* -8(%rax,%rbx,2) */
		{"absolute", 8, {0x0f, 0xc7, 0x3c, 0x25, 0x00, 0x00, 0x43, 0x00}},
		{"fs", 4, {0x64, 0x0f, 0xc7, 0x38}},
		{"address32", 4, {0x67, 0x0f, 0xc7, 0x38}},
		{"rex-w", 4, {0x48, 0x0f, 0xc7, 0x38}},
		{"lock", 4, {0xf0, 0x0f, 0xc7, 0x38}},
		{"rbp-not-canonical", 4, {0x0f, 0xc7, 0x7d, 0x00}},
		{"operand16-vmread", 4, {0x66, 0x0f, 0x78, 0xc3}},
		{"rep-vmread", 4, {0xf3, 0x0f, 0x78, 0xc3}},
		{"repne-vmread", 4, {0xf2, 0x0f, 0x78, 0xc3}},
		{"lock-vmread", 4, {0xf0, 0x0f, 0x78, 0xc3}},
		{"operand16-vmwrite", 4, {0x66, 0x0f, 0x79, 0xc3}},
		{"rep-vmwrite", 4, {0xf3, 0x0f, 0x79, 0xc3}},
		{"lock-vmxoff", 4, {0xf0, 0x0f, 0x01, 0xc4}},
		{"lock-vmlaunch", 4, {0xf0, 0x0f, 0x01, 0xc2}},
		{"lock-vmcall", 4, {0xf0, 0x0f, 0x01, 0xc1}},
		{"invept-register", 5, {0x66, 0x0f, 0x38, 0x80, 0xc3}},
		{"invept-no-prefix", 4, {0x0f, 0x38, 0x80, 0x03}},
		{"invvpid-rep", 6, {0xf3, 0x66, 0x0f, 0x38, 0x81, 0x03}},
		{"vmxon-register", 4, {0xf3, 0x0f, 0xc7, 0xf0}},
		{"vmread-r9-r8", 4, {0x4d, 0x0f, 0x78, 0xc1}},
		{"vmwrite-r9-r8", 4, {0x4d, 0x0f, 0x79, 0xc1}},
		{"vmread-same", 3, {0x0f, 0x78, 0xc0}},
	};

	for (unsigned i = 0; i < DIFF_COUNT(list); i++) {
		struct diff_case c = diff_case("encoding/%s", list[i].name);
		uint64_t gpr[GPRS] = {[RAX] = AT_OPERAND - 0x10,
				      [RBX] = 12,
				      [RBP] = UINT64_C(1) << 62,
				      [R8] = SX_VMCS_GUEST_RIP,
				      [R8 + 1] = 0x5555};

		put_descriptor(0, 0);
		*(uint64_t *)diff_at(AT_OPERAND) = 0;
		(void)diff_step(&c, DIFF_LONG, list[i].code, list[i].length, gpr);
		diff_say("%s+memory: %x %x\n", c.name, *(uint64_t *)diff_at(AT_OPERAND),
			 *(uint64_t *)diff_at(AT_DATA));
	}
}

void diff_cases_instructions(void)
{
	struct diff_vmcs v;

	none_current();
	diff_base(&v);
	put_revision(AT_VMCS, revision());
	diff_load(&v);
	pointers();
	launch_states();
	shadow();
	diff_load(&v);
	invalidations();
	encodings();
	run("current", "", &vmfunc, 0, 0); /* but no VMCALL, at which Bochs stops */
}

void diff_cases_after(void)
{
	run("after", "-first", &vmxoff, 0, 0);
	everything("after");
	run_at("after", "", &vmxon, AT_VMXON);
	run_at("after", "-current", &vmptrst, 0);
	run("after", "-last", &vmxoff, 0, 0);
}
