#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Runs in the emulated host for tests/lab/test_intel.sh.
# shellcheck source=tests/lab/boot.sh
. ./boot.sh

limit=2000
# What takes Bochs long and nobody misses here.
fast='nokaslr mitigations=off rodata=off audit=0 cryptomgr.notests random.trust_cpu=on'
boot intel "$fast disk=yes end=reset" --mode trap --memory 128M --rng --disk disk.img \
	--kernel vmlinux --initrd guest.cpio
