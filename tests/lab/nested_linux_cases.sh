#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash disable=SC2086 # options are several words
#
# Runs in the emulated host, whose KVM offers no nesting, for tests/lab/nested_linux.sh:
#
#   nested_linux_cases.sh SECONDS CASE...
#
# How long each L1 may take, and which there are. `plain` is a guest without VMX, the others are
# where their L2s run: trap, colocated, parallel, or linux_trap, ... with a Linux as L2, too.
# shellcheck source=tests/lab/boot.sh
. ./boot.sh

# QEMU's emulated SVM lets a guest write XCR0 without KVM's knowing, which Linux calls a
# consistency problem of XSAVE.
fast='noxsave nokaslr mitigations=off init_on_alloc=0 cryptomgr.notests tsc=reliable no_timer_check'
fast="$fast audit=0 lsm=capability psi=0 nowatchdog random.trust_cpu=on cgroup_disable=memory"
l1='--initrd l1.cpio --kernel vmlinux --memory 640M --vcpus 2'
limit=$1
shift

cat /sys/module/kvm_amd/parameters/nested
if [ -e splitx_host.ko ]; then
	insmod splitx_host.ko || exit 1
	# KVM's code is patched at the first mark and after the last (docs/host-module.md), which
	# QEMU's TCG stands only while nobody runs it: one mark is there before all and after all.
	host_module hold >/tmp/hold &
	until grep -q held /tmp/hold; do
		kill -0 $! || exit 1
		sleep 0.1
	done
	kill -STOP $!
fi
for name; do
	append=$fast
	case $name in
	plain) append="$fast plain=yes" ;;
	linux_*) append="$fast linux=yes hugepages=56" ;;
	esac
	case $name in
	plain) place='--mode trap' ;;
	*trap) place='--mode trap --nested' ;;
	*colocated) place="$split --nested" ;;
	*parallel) place="$split --nested=parallel" ;;
	esac
	boot "$name" "$append" $place $l1
done
