#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 7200
#
# A whole Linux as L2 of an unmodified Linux, on an AMD host whose KVM offers no nesting: Debian's
# kernel comes to its init and switches itself off, and L1's kernel has no complaint. Trapped and
# colocated: in parallel it was not seen to come so far (docs/nested-linux.md), and L2 is a bare one.
set -euo pipefail
cd "$(dirname "$0")/../../.."
# shellcheck source=tests/lab/nested_linux.sh
. tests/lab/nested_linux.sh

need_host amd "Linux as L2 in the emulated host"
need_modules "Linux as L2" splitx_vmx.ko splitx_host.ko
make_l1
boot_l1 2300 --file "$BUILD/kernel/splitx_host.ko" --file "$BUILD/tests/lab/host_module" -- \
	linux_trap linux_colocated parallel

judge_l1 linux_trap "l2: init of $version" 'guest: Linux as L2 ended with 0'
judge_l1 linux_colocated "l2: init of $version" 'guest: Linux as L2 ended with 0'
judge_l1 parallel
