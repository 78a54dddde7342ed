#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash disable=SC2086 # options are several words
#
# Runs in the emulated host, whose KVM offers no nesting, for tests/lab/test_nested_linux.sh.
# shellcheck source=tests/lab/boot.sh
. ./boot.sh

# QEMU's emulated SVM lets a guest write XCR0 without KVM's knowing, which Linux calls a
# consistency problem of XSAVE.
fast='noxsave nokaslr mitigations=off init_on_alloc=0 cryptomgr.notests tsc=reliable no_timer_check'
fast="$fast audit=0 lsm=capability psi=0 nowatchdog random.trust_cpu=on cgroup_disable=memory"
l1='--initrd l1.cpio --kernel vmlinux --memory 640M --vcpus 2'
limit=400

cat /sys/module/kvm_amd/parameters/nested
boot plain "$fast plain=yes" --mode trap $l1
boot trap "$fast" --mode trap --nested $l1
boot colocated "$fast" $split --nested $l1
