/* SPDX-License-Identifier: BSD-3-Clause */
/* VMX instructions as such, for guests whose #UD or whose exits end in the engine. */
#ifndef VMX_INSN_H
#define VMX_INSN_H

#include <stdint.h>

static inline uint64_t vmread_insn(uint64_t field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc", "memory");
	return value;
}

static inline void vmwrite_insn(uint64_t field, uint64_t value)
{
	__asm__ volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc", "memory");
}

/* 1: it failed. */
static inline int vmxon_insn(const uint64_t *gpa)
{
	uint8_t failed;

	__asm__ volatile("vmxon %1; setna %0" : "=q"(failed) : "m"(*gpa) : "cc", "memory");
	return failed;
}

static inline int vmclear_insn(const uint64_t *gpa)
{
	uint8_t failed;

	__asm__ volatile("vmclear %1; setna %0" : "=q"(failed) : "m"(*gpa) : "cc", "memory");
	return failed;
}

static inline int vmptrld_insn(const uint64_t *gpa)
{
	uint8_t failed;

	__asm__ volatile("vmptrld %1; setna %0" : "=q"(failed) : "m"(*gpa) : "cc", "memory");
	return failed;
}

/*
 * VMLAUNCH or VMRESUME with HOST_RIP and HOST_RSP behind it; 1: it failed. L2 leaves all general
 * registers as it likes.
 */
static inline int run_insn(int resume)
{
	uint64_t failed;

	__asm__ volatile("pushq %%rbp\n"
			 "leaq 1f(%%rip), %%rax\n"
			 "movl $0x6c16, %%edx\n"
			 "vmwrite %%rax, %%rdx\n"
			 "movl $0x6c14, %%edx\n"
			 "vmwrite %%rsp, %%rdx\n"
			 "movl $0x99, %%edx\n"
			 "testl %%ecx, %%ecx\n"
			 "jnz 2f\n"
			 "vmlaunch\n"
			 "jmp 3f\n"
			 "2: vmresume\n"
			 "3: movl $1, %%eax\n"
			 "jmp 4f\n"
			 "1: xorl %%eax, %%eax\n"
			 "4: popq %%rbp\n"
			 : "=a"(failed), "+c"(resume)
			 :
			 : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "cc", "memory");
	return (int)failed;
}

#endif
