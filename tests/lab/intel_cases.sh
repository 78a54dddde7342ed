#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash disable=SC2086,SC2154 # split is that of boot.sh, and several words
#
# Runs in the emulated host for tests/lab/test_intel.sh and tests/lab/long/test_intel_split.sh:
# intel_cases.sh trap|split
# shellcheck source=tests/lab/boot.sh
. ./boot.sh

limit=4000
# What takes Bochs long and nobody misses here.
fast='nokaslr mitigations=off rodata=off audit=0 cryptomgr.notests random.trust_cpu=on'
case $1 in
trap) mode='--mode trap' ;;
split) mode=$split ;;
esac
boot "$1" "$fast disk=yes end=reset" $mode --memory 128M --rng --disk disk.img \
	--kernel vmlinux --initrd guest.cpio
