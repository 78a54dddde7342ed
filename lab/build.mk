# SPDX-License-Identifier: BSD-3-Clause
# What the emulated hosts are made of. lab/lab calls this file; it stands alone and runs in the
# root of the source tree.

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

CC        ?= cc
LAB_BUILD ?= build/lab
# Where boot/ and lib/modules/ of the kernel package lie, and its version.
LAB_KERNEL_ROOT ?=
LAB_KERNEL      ?= $(shell LAB_KERNEL_ROOT=$(LAB_KERNEL_ROOT) lab/kernel.sh newest)
export LAB_KERNEL_ROOT
ifeq ($(LAB_KERNEL),)
$(error there is no Debian kernel in $(LAB_KERNEL_ROOT)/boot with its modules in \
	$(LAB_KERNEL_ROOT)/lib/modules; lab/setup.sh lab installs one)
endif

LAB_WARN   := -Wall -Wextra -Werror -Wtype-limits -Wmissing-prototypes -Wstrict-prototypes \
	      -Wshadow -Wvla -Wwrite-strings
LAB_CFLAGS := -std=gnu11 -O2 -g $(LAB_WARN) -I. -D_GNU_SOURCE
# The loader: 32 bit, no library, no vector registers.
LAB_BOOT_CFLAGS := -std=gnu11 -Os $(LAB_WARN) -I. -m32 -march=i386 -ffreestanding -fno-pic \
		   -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables

LAB_HEADERS := $(wildcard lab/*.h lab/*/*.h)
LAB_HOST    := $(addprefix lab/host/,run.c console.c emulator.c frames.c write_all.c)
LAB_INIT    := $(addprefix lab/guest/,init.c channel.c hold.c results.c)
LAB_CHECK   := $(addprefix lab/guest/,kvmcheck.c hold.c)
LAB_K       := $(LAB_BUILD)/$(LAB_KERNEL)
LAB_VMLINUZ := $(LAB_KERNEL_ROOT)/boot/vmlinuz-$(LAB_KERNEL)
LAB_DEP     := $(LAB_KERNEL_ROOT)/lib/modules/$(LAB_KERNEL)/modules.dep

.PHONY: lab-parts lab-parts-amd lab-parts-intel
lab-parts: lab-parts-amd lab-parts-intel
lab-parts-amd lab-parts-intel: lab-parts-%: $(LAB_K)/vmlinux $(LAB_K)/base-%.cpio \
		$(LAB_BUILD)/labrun $(LAB_BUILD)/mkboot $(LAB_BUILD)/loader.bin
	@ln -sfn $(LAB_KERNEL) $(LAB_BUILD)/kernel

$(LAB_BUILD) $(LAB_K):
	@mkdir -p $@

$(LAB_BUILD)/labrun: $(LAB_HOST) $(LAB_HEADERS) | $(LAB_BUILD)
	$(CC) $(LAB_CFLAGS) -o $@ $(LAB_HOST)
$(LAB_BUILD)/mkboot: lab/host/mkboot.c $(LAB_HEADERS) | $(LAB_BUILD)
	$(CC) $(LAB_CFLAGS) -o $@ $<
$(LAB_BUILD)/init: $(LAB_INIT) $(LAB_HEADERS) | $(LAB_BUILD)
	$(CC) $(LAB_CFLAGS) -static -o $@ $(LAB_INIT)
	strip $@
$(LAB_BUILD)/kvmcheck: $(LAB_CHECK) $(LAB_HEADERS) | $(LAB_BUILD)
	$(CC) $(LAB_CFLAGS) -static -o $@ $(LAB_CHECK)
	strip $@

$(LAB_BUILD)/loader.bin: lab/boot/start.S lab/boot/load.c lab/boot/load.ld $(LAB_HEADERS) | $(LAB_BUILD)
	$(CC) $(LAB_BOOT_CFLAGS) -c -o $@.start.o lab/boot/start.S
	$(CC) $(LAB_BOOT_CFLAGS) -c -o $@.load.o lab/boot/load.c
	$(LD) -m elf_i386 -T lab/boot/load.ld -o $@.elf $@.start.o $@.load.o
	objcopy -O binary $@.elf $@

$(LAB_K)/vmlinux: $(LAB_VMLINUZ) lab/kernel.sh | $(LAB_K)
	lab/kernel.sh vmlinux $(LAB_KERNEL) $@
$(LAB_K)/base-%.cpio: $(LAB_BUILD)/init $(LAB_BUILD)/kvmcheck $(LAB_DEP) lab/base.sh lab/rootfs.sh \
		lab/kernel.sh | $(LAB_K)
	lab/base.sh $* $(LAB_KERNEL) $(LAB_BUILD)/init $(LAB_BUILD)/kvmcheck $(@:.cpio=)
