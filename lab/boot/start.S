// SPDX-License-Identifier: BSD-3-Clause
/*
 * The boot sector of the lab's disk image. In real mode it reads the rest of the loader (INT 13h,
 * function 42h) and the memory map (INT 15h, E820h); in flat protected mode it calls load().
 */
#include "lab/boot/table.h"

#define BASE       0x7c00
#define MEMORY_MAP 0x6000
#define MAP_ENTRY  20

	.code16
	.section .start, "ax"
	.globl start
start:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$BASE, %sp
	ljmp	$0, $read_rest		/* some BIOSes start at 07c0:0000 */
read_rest:
	movw	$packet, %si
	movb	$0x42, %ah
	int	$0x13			/* DL is still the drive that was booted */
	jc	fail

	movw	$MEMORY_MAP, %di
	xorl	%ebx, %ebx
next_entry:
	movl	$0xe820, %eax
	movl	$0x534d4150, %edx	/* "SMAP" */
	movl	$MAP_ENTRY, %ecx
	int	$0x15
	jc	protected_mode		/* past the last entry */
	addw	$MAP_ENTRY, %di
	incl	memory_map_count
	cmpl	$SX_BOOT_E820_MAX, memory_map_count
	jae	protected_mode
	testl	%ebx, %ebx
	jnz	next_entry

protected_mode:
	cli
	inb	$0x92, %al		/* A20 */
	orb	$2, %al
	andb	$0xfe, %al		/* bit 0 resets */
	outb	%al, $0x92
	lgdtl	gdt_pointer
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$8, $flat

fail:					/* '!' on COM1; the lab's timeout does the rest */
	movw	$0x3f8, %dx
	movb	$'!', %al
	outb	%al, %dx
	hlt
	jmp	fail

	.code32
flat:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$BASE, %esp
	pushl	memory_map_count
	pushl	$MEMORY_MAP
	call	load
	/* Does not come back. */

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* code, flat */
	.quad	0x00cf93000000ffff	/* data, flat */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt
packet:
	.byte	16, 0
	.word	SX_BOOT_SECTORS - 1
	.word	BASE + SX_BOOT_SECTOR, 0
	.quad	1
memory_map_count:
	.long	0

	.org	510
	.word	0xaa55

	.section .note.GNU-stack, "", @progbits
