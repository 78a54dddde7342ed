/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entry and interrupt stubs. RDI is the boot info, RSI the vCPU's index, both passed on to
 * guest_start(). The stack is aligned as after a CALL.
 */
	.section .text.start, "ax"
	.globl _start
_start:
	xorl	%ebp, %ebp
	jmp	guest_start

/*
 * One stub for each vector: push an error code where the processor did not (SDM Vol. 3A 6.15),
 * then the vector. Stubs are 16 bytes apart; guest_start() relies on it.
 */
	.text
	.balign 16
	.globl guest_stubs
guest_stubs:
	vector = 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq	$0
	.endif
	pushq	$vector
	jmp	common
	vector = vector + 1
	.endr

common:
	cld
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	movq	%rsp, %rbx
	movq	%rsp, %rdi
	andq	$-16, %rsp
	/* Guest code uses SSE; a handler must not be seen in it (SDM Vol. 1 10.5). */
	subq	$512, %rsp
	fxsave64 (%rsp)
	call	guest_interrupt
	fxrstor64 (%rsp)
	movq	%rbx, %rsp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
