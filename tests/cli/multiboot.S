/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Multiboot kernel that says on COM1 what it was given, and switches the PC off: its command
 * line, how much memory the map has, and the bytes of its modules.
 */
#define MAGIC 0x1badb002
#define FLAGS 0x3
#define COM1  0x3f8
#define SLEEP 0x600 /* ACPI's sleep control register, guestcore/pc_map.h */
#define OFF   0x34  /* SLP_TYPx 5, SLP_EN */

	.text
	.align 4
	.long MAGIC, FLAGS, -(MAGIC + FLAGS)

	.globl _start
_start:
	movl $stack_end, %esp
	cld
	cmpl $0x2badb002, %eax
	jne bad
	movl %ebx, %ebp

	movl $said_cmdline, %esi
	call print
	movl 16(%ebp), %esi
	call print
	movl $said_loader, %esi
	call print
	movl 64(%ebp), %esi
	call print

	/* Each range of type 1, in MiB, rounded down. */
	movl $said_memory, %esi
	call print
	movl 48(%ebp), %edi
	movl 44(%ebp), %ecx
	addl %edi, %ecx
	xorl %edx, %edx
1:	cmpl %ecx, %edi
	jae 2f
	cmpl $1, 20(%edi)
	jne 3f
	movl 12(%edi), %eax
	movl 16(%edi), %ebx
	shrdl $20, %ebx, %eax
	addl %eax, %edx
3:	movl (%edi), %eax
	leal 4(%edi, %eax), %edi
	jmp 1b
2:	movl %edx, %eax
	call decimal

	movl $said_modules, %esi
	call print
	movl 20(%ebp), %eax
	call decimal
	movl 20(%ebp), %ecx
	movl 24(%ebp), %edi
4:	testl %ecx, %ecx
	jz off
	movl $newline, %esi
	call print
	movl 8(%edi), %esi
	call print
	movl $said_is, %esi
	call print
	movl (%edi), %esi
	movl 4(%edi), %edx
5:	cmpl %edx, %esi
	jae 6f
	lodsb
	call putc
	jmp 5b
6:	addl $16, %edi
	decl %ecx
	jmp 4b

bad:
	movl $said_bad, %esi
	call print
off:
	movl $newline, %esi
	call print
	movw $SLEEP, %dx
	movb $OFF, %al
	outb %al, %dx
	hlt

/* %esi: a string. */
print:
	lodsb
	testb %al, %al
	jz 1f
	call putc
	jmp print
1:	ret

putc:
	pushl %edx
	movw $COM1, %dx
	outb %al, %dx
	popl %edx
	ret

/* %eax: a number. */
decimal:
	pushl %edx
	xorl %edx, %edx
	movl $10, %ebx
	divl %ebx
	testl %eax, %eax
	jz 1f
	pushl %edx
	call decimal
	popl %edx
1:	movb %dl, %al
	addb $'0', %al
	call putc
	popl %edx
	ret

	.section .rodata
said_cmdline: .asciz "command line: "
said_loader:  .asciz "\nloader: "
said_memory:  .asciz "\nmemory: "
said_modules: .asciz " MiB\nmodules: "
said_is:      .asciz " is "
said_bad:     .asciz "no Multiboot loader"
newline:      .asciz "\n"

	.bss
	.align 16
stack:
	.skip 4096
stack_end:

	.section .note.GNU-stack, "", @progbits
