// SPDX-License-Identifier: BSD-3-Clause
/*
 * A Multiboot image for the lab's test: writes its magic's verdict and its command line to COM1,
 * checks that its .bss is zeroed, and ends with the status 7.
 */
#define COM1      0x3f8
#define COM1_LSR  (COM1 + 5)
#define LSR_EMPTY 0x20

#define HEADER_MAGIC 0x1badb002
#define HEADER_FLAGS 3 /* modules on pages, memory information */
#define BOOT_MAGIC   0x2badb002
#define INFO_CMDLINE 16

	.text
	.balign	4
	.long	HEADER_MAGIC, HEADER_FLAGS, -(HEADER_MAGIC + HEADER_FLAGS)

	.globl	_start
_start:
	movl	$stack, %esp
	movl	$not_multiboot, %esi
	cmpl	$BOOT_MAGIC, %eax
	jne	last
	movl	$hello, %esi
	call	print
	movl	INFO_CMDLINE(%ebx), %esi
	call	print
	movl	$dirty, %esi
	cmpl	$0, bss_word
	jne	last
	movl	$done, %esi
last:
	call	print
stop:
	hlt
	jmp	stop

print:					/* the text at ESI */
	lodsb
	testb	%al, %al
	jz	2f
	movb	%al, %ah
	movw	$COM1_LSR, %dx
1:
	inb	%dx, %al
	testb	$LSR_EMPTY, %al
	jz	1b
	movb	%ah, %al
	movw	$COM1, %dx
	outb	%al, %dx
	jmp	print
2:
	ret

	.data
hello:
	.asciz	"bare says: "
not_multiboot:
	.asciz	"not started by Multiboot\nSPLITX-LAB-EXIT 1\n"
dirty:
	.asciz	"\nthe .bss is not zero\nSPLITX-LAB-EXIT 2\n"
done:
	.asciz	"\nSPLITX-LAB-EXIT 7\n"

	.bss
bss_word:
	.skip	0x20000			/* more than the loader reads as one run of zeroes */
	.skip	4096
stack:

	.section .note.GNU-stack, "", @progbits
