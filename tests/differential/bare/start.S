/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Multiboot kernel's way into 64-bit mode, and between a case's instruction and C: bare_run()
 * goes there, and bare_next, the exception stubs or bare_exit come back.
 */
#define HEADER_MAGIC 0x1badb002
#define CR4_PAE      0x20
#define MSR_EFER     0xc0000080
#define EFER_BITS    0x901		/* NXE LME SCE; LMA comes by itself */
#define CR0_BITS     0x80010033		/* DIFF_CR0 */
#define CODE_SEL     0x08
#define DATA_SEL     0x10
#define TSS_SEL      0x18
#define ARENA        0x400000		/* DIFF_ARENA */

	.section .text.start, "ax"
	.balign	4
	.long	HEADER_MAGIC, 0, -HEADER_MAGIC

	.code32
	.globl	_start
_start:
	cld
	movl	$stack_end, %esp
	movl	$pdpt + 7, pml4
	movl	$directories + 7, %eax
	movl	$pdpt, %edi
	movl	$4, %ecx
1:
	movl	%eax, (%edi)
	addl	$4096, %eax
	addl	$8, %edi
	loop	1b
	movl	$0x83, %eax		/* a page of 2 MiB: present, writable */
	movl	$directories, %edi
	movl	$4 * 512, %ecx
2:
	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	2b
	movl	$ARENA + 0x87, directories + 8 * (ARENA >> 21) /* where CPL 3 may be, too */

	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	movl	$EFER_BITS, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$CR0_BITS, %eax
	movl	%eax, %cr0
	lgdt	gdtr
	ljmp	$CODE_SEL, $long_mode

	.code64
long_mode:
	movl	$DATA_SEL, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$tss, %eax		/* its base is filled in here: no relocation splits it */
	movw	%ax, gdt + TSS_SEL + 2
	shrl	$16, %eax
	movb	%al, gdt + TSS_SEL + 4
	movb	%ah, gdt + TSS_SEL + 7
	movl	$TSS_SEL, %eax
	ltr	%ax
	movl	$stack_end - 0xc000, tss + 4	/* for exceptions at CPL 3 */
	call	bare_main
stop:
	hlt
	jmp	stop

	.macro	save_registers
	movq	%rax, bare_gpr + 8 * 0
	movq	%rcx, bare_gpr + 8 * 1
	movq	%rdx, bare_gpr + 8 * 2
	movq	%rbx, bare_gpr + 8 * 3
	movq	%rsp, bare_gpr + 8 * 4
	movq	%rbp, bare_gpr + 8 * 5
	movq	%rsi, bare_gpr + 8 * 6
	movq	%rdi, bare_gpr + 8 * 7
	movq	%r8, bare_gpr + 8 * 8
	movq	%r9, bare_gpr + 8 * 9
	movq	%r10, bare_gpr + 8 * 10
	movq	%r11, bare_gpr + 8 * 11
	movq	%r12, bare_gpr + 8 * 12
	movq	%r13, bare_gpr + 8 * 13
	movq	%r14, bare_gpr + 8 * 14
	movq	%r15, bare_gpr + 8 * 15
	.endm

	.text
	.globl	bare_run
bare_run:				/* bare_run(address of the instruction, CS, SS) */
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, bare_stack
	pushq	%rdx			/* IRET gives L1 its mode */
	pushq	bare_stack
	pushq	$0x8d7			/* all arithmetic flags: what VMX clears must show */
	pushq	%rsi
	pushq	%rdi
	movq	bare_gpr + 8 * 0, %rax
	movq	bare_gpr + 8 * 1, %rcx
	movq	bare_gpr + 8 * 2, %rdx
	movq	bare_gpr + 8 * 3, %rbx
	movq	bare_gpr + 8 * 5, %rbp
	movq	bare_gpr + 8 * 6, %rsi
	movq	bare_gpr + 8 * 7, %rdi
	movq	bare_gpr + 8 * 8, %r8
	movq	bare_gpr + 8 * 9, %r9
	movq	bare_gpr + 8 * 10, %r10
	movq	bare_gpr + 8 * 11, %r11
	movq	bare_gpr + 8 * 12, %r12
	movq	bare_gpr + 8 * 13, %r13
	movq	bare_gpr + 8 * 14, %r14
	movq	bare_gpr + 8 * 15, %r15
	iretq

	.globl	bare_next
bare_next:				/* the instruction is done */
	save_registers
	pushfq
	popq	bare_rflags
	movl	$0, %eax
	jmp	come_back

	.globl	bare_exit
bare_exit:				/* a VM exit: RSP is the host state's */
	save_registers
	pushfq
	popq	bare_rflags
	movl	$2, %eax
	jmp	come_back

/*
 * One stub for each exception: push an error code where the processor did not (SDM Vol. 3A 6.15),
 * then the vector. Stubs are 16 bytes apart.
 */
	.balign 16
	.globl	bare_stubs
bare_stubs:
	vector = 0
	.rept 32
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq	$0
	.endif
	pushq	$vector
	jmp	fault
	vector = vector + 1
	.endr

fault:
	save_registers
	popq	bare_vector
	popq	bare_error
	popq	bare_rip
	movq	%cr2, %rax
	movq	%rax, bare_cr2
	movl	$1, %eax

come_back:
	movq	bare_stack, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	.data
	.balign	8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 64-bit code */
	.quad	0x00cf93000000ffff	/* data */
	.quad	0x0000890000000067, 0	/* TSS */
	.quad	0x00cf9b000000ffff	/* 32-bit code */
	.quad	0x00affb000000ffff	/* 64-bit code of CPL 3 */
	.quad	0x00cff3000000ffff	/* data of CPL 3 */
	.globl	bare_gdtr
gdtr:
bare_gdtr:
	.word	bare_gdtr - gdt - 1
	.quad	gdt

	.bss
	.balign	4096
	.globl	pml4
pml4:
	.skip	4096
pdpt:
	.skip	4096
directories:
	.skip	4 * 4096
	.skip	0x10000
	.globl	stack_end
stack_end:
	.globl	tss
tss:
	.skip	104
	.balign	8
	.globl	bare_gpr, bare_rflags, bare_vector, bare_error, bare_rip, bare_cr2
bare_gpr:
	.skip	16 * 8
bare_rflags:
	.skip	8
bare_vector:
	.skip	8
bare_error:
	.skip	8
bare_rip:
	.skip	8
bare_cr2:
	.skip	8
bare_stack:
	.skip	8

	.section .note.GNU-stack, "", @progbits
