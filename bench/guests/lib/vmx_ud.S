/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * #UD, with all registers as struct guest_ud_frame has them. The library is compiled to use general
 * registers only, so no others have to be saved.
 */
	.text
	.globl guest_ud_stub
guest_ud_stub:
	cld
	pushq	%r15
	pushq	%r14
	pushq	%r13
	pushq	%r12
	pushq	%r11
	pushq	%r10
	pushq	%r9
	pushq	%r8
	pushq	%rdi
	pushq	%rsi
	pushq	%rbp
	pushq	%rsp	/* a place for gpr[4] */
	pushq	%rbx
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	movq	%rsp, %rbx
	movq	%rsp, %rdi
	andq	$-16, %rsp
	call	guest_vmx_on_ud
	movq	%rbx, %rsp
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rbx
	addq	$8, %rsp
	popq	%rbp
	popq	%rsi
	popq	%rdi
	popq	%r8
	popq	%r9
	popq	%r10
	popq	%r11
	popq	%r12
	popq	%r13
	popq	%r14
	popq	%r15
	iretq

	.section .note.GNU-stack, "", @progbits
