// SPDX-License-Identifier: BSD-3-Clause
#include "nested/hostmod.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "guestcore/kvm.h"
#include "nested/zydis.h"

_Static_assert(offsetof(struct kvm_run, padding) == SX_HOST_EXIT_AT, "kvm_run is KVM's ABI");

/* --- marks ----------------------------------------------------------------------------------- */

static int open_device(struct sx_error *err)
{
	int fd = open(SX_HOST_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return sx_fail(err, -ENOENT,
			       "there is no " SX_HOST_DEVICE
			       "; load kernel/splitx_host.ko (docs/host-module.md)");
	return sx_fail(err, -errno,
		       "cannot open " SX_HOST_DEVICE ": %s; it is root's unless a udev "
		       "rule says otherwise",
		       strerror(errno));
}

static const char *refusal(int code)
{
	switch (code) {
	case -EPROTO:
		return "the module is of another version; build and load that of this splitx";
	case -EINVAL:
		return "it knows no such kind of exit";
	case -EBADF:
	case -ENOTTY:
		return "that is no vCPU";
	case -EBUSY:
		return "that vCPU has a mark already, or something else has patched KVM";
	case -EOPNOTSUPP:
		return "the guest's registers are encrypted";
	default:
		return strerror(-code);
	}
}

int sx_hostmod_mark(int vcpu, uint32_t kinds, struct sx_error *err)
{
	struct sx_host_mark mark = {.version = SX_WIRE_VERSION, .vcpu = vcpu, .kinds = kinds};
	int fd = open_device(err);
	int rc;

	if (fd < 0)
		return fd;
	rc = sx_ioctl(fd, SX_HOST_MARK, &mark);
	if (rc == 0)
		return fd;
	close(fd);
	return sx_fail(err, rc, SX_HOST_DEVICE " refuses to mark a vCPU: %s", refusal(rc));
}

/* --- exits ----------------------------------------------------------------------------------- */

struct insn {
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* Enough of a processor to decode for. */
static struct sx_vmx_cpu mode_of(uint8_t bits)
{
	struct sx_vmx_cpu cpu = {0};

	if (bits == 64) {
		cpu.efer = SX_X86_EFER_LMA;
		cpu.seg[SX_SEG_CS].ar = SX_AR_L;
	} else if (bits == 32) {
		cpu.cr0 = SX_X86_CR0_PE;
		cpu.seg[SX_SEG_CS].ar = SX_AR_DB;
	}
	return cpu;
}

static int decode_insn(const struct sx_host_exit *in, struct insn *insn)
{
	const struct sx_vmx_cpu cpu = mode_of(in->bits);

	if (in->insn_bytes > SX_HOST_MAX_INSN)
		return -EILSEQ;
	return sx_zydis_decode(&cpu, in->insn, in->insn_bytes, &insn->zi, insn->operands);
}

/* LOCK MOV CR0 is how AMD's processors spell MOV CR8 outside of 64-bit mode. */
static int decode_mov(const struct sx_host_exit *in, const struct insn *insn,
		      struct sx_hostmod_exit *out)
{
	ZydisRegister cr = in->kind == SX_HOST_CR0 ? ZYDIS_REGISTER_CR0 : ZYDIS_REGISTER_CR4;

	if (insn->operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    insn->operands[0].reg.value != cr || (insn->zi.attributes & ZYDIS_ATTRIB_HAS_LOCK))
		return -EILSEQ;
	out->cr.access = SX_HOSTMOD_MOV;
	out->cr.gpr = sx_zydis_gpr(insn->operands[1].reg.value);
	out->cr.value = in->bits == 64 ? in->value : (uint32_t)in->value;
	return 0;
}

static int decode_cr(const struct sx_host_exit *in, const struct insn *insn,
		     struct sx_hostmod_exit *out)
{
	if (insn->zi.mnemonic == ZYDIS_MNEMONIC_MOV)
		return decode_mov(in, insn, out);
	if (in->kind != SX_HOST_CR0)
		return -EILSEQ;
	switch (insn->zi.mnemonic) {
	case ZYDIS_MNEMONIC_LMSW:
		out->cr.access = SX_HOSTMOD_LMSW;
		out->cr.memory = insn->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
		out->cr.value = in->value & 0xf;
		return 0;
	case ZYDIS_MNEMONIC_CLTS:
		out->cr.access = SX_HOSTMOD_CLTS;
		return 0;
	default:
		return -EILSEQ;
	}
}

static int decode_hypercall(const struct sx_host_exit *in, const struct insn *insn,
			    struct sx_hostmod_exit *out)
{
	uint64_t mask = in->bits == 64 ? UINT64_MAX : UINT32_MAX;

	if (insn->zi.mnemonic != ZYDIS_MNEMONIC_VMCALL &&
	    insn->zi.mnemonic != ZYDIS_MNEMONIC_VMMCALL)
		return -EILSEQ;
	out->hypercall.vmmcall = insn->zi.mnemonic == ZYDIS_MNEMONIC_VMMCALL;
	out->hypercall.number = in->rax & mask;
	out->hypercall.arguments[0] = in->rbx & mask;
	out->hypercall.arguments[1] = in->rcx & mask;
	out->hypercall.arguments[2] = in->rdx & mask;
	out->hypercall.arguments[3] = in->rsi & mask;
	return 0;
}

static int decode_operands(const struct sx_host_exit *in, const struct insn *insn,
			   struct sx_hostmod_exit *out)
{
	switch (in->kind) {
	case SX_HOST_CPUID:
		out->cpuid.leaf = (uint32_t)in->rax;
		out->cpuid.subleaf = (uint32_t)in->rcx;
		return insn->zi.mnemonic == ZYDIS_MNEMONIC_CPUID ? 0 : -EILSEQ;
	case SX_HOST_CR0:
	case SX_HOST_CR4:
		return decode_cr(in, insn, out);
	case SX_HOST_XSETBV:
		out->xcr.index = (uint32_t)in->rcx;
		out->xcr.value = in->rdx << 32 | (uint32_t)in->rax;
		return insn->zi.mnemonic == ZYDIS_MNEMONIC_XSETBV ? 0 : -EILSEQ;
	case SX_HOST_HYPERCALL:
		return decode_hypercall(in, insn, out);
	default:
		return -EILSEQ;
	}
}

int sx_hostmod_decode_exit(const struct sx_host_exit *in, struct sx_hostmod_exit *out)
{
	struct insn insn;
	int rc = decode_insn(in, &insn);

	if (rc < 0)
		return rc;
	*out = (struct sx_hostmod_exit){.kind = in->kind, .length = insn.zi.length};
	return decode_operands(in, &insn, out);
}

bool sx_hostmod_is_exit(const struct kvm_run *run)
{
	return run->exit_reason == SX_HOST_EXIT;
}

int sx_hostmod_decode(const struct kvm_run *run, struct sx_hostmod_exit *out)
{
	struct sx_host_exit in;

	memcpy(&in, run->padding, sizeof(in));
	return sx_hostmod_decode_exit(&in, out);
}
