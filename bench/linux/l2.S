/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * L2's code. It is copied to L2_CODE and may stand anywhere.
 *
 * In:  ESI how often, EDI where the cycles of each operation go, ESP 0: there is no stack.
 * Out: HLT, with ESI 0 and in ESP the sum of all answers.
 */
#include "bench/linux/l2.h"

	.section .rodata
	.code32
	.globl	l2_begin, l2_end, l2_nothing, l2_cpuid, l2_pio, l2_mmio, l2_passthrough

/* The cycles between the two are those of one operation, which may not use EBP. */
	.macro	before
	rdtsc
	movl	%eax, %ebp
	.endm

	.macro	after
	rdtsc
	subl	%ebp, %eax
	movl	%eax, (%edi)
	addl	$4, %edi
	decl	%esi
	.endm

l2_begin:

l2_cpuid:
	before
	movl	$L2_LEAF, %eax
	cpuid
	addl	%ebx, %esp
	after
	jnz	l2_cpuid
	hlt

l2_pio:
	before
	movl	%esi, %eax
	movl	$L2_PORT, %edx
	outl	%eax, %dx
	after
	jnz	l2_pio
	hlt

l2_mmio:
	before
	movl	L2_REGISTER, %eax
	addl	%eax, %esp
	after
	jnz	l2_mmio
	hlt

/* Without PAUSE: a KVM may take that for a sign that nothing goes on, and it would exit. */
l2_passthrough:
	before
	movl	%esi, L2_SHARED + L2_REQUEST
1:	cmpl	%esi, L2_SHARED + L2_REPLY
	jne	1b
	after
	jnz	l2_passthrough
	hlt

l2_nothing:
	xorl	%esi, %esi
	hlt

l2_end:

	.section .note.GNU-stack, "", @progbits
