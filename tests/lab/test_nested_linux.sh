#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1500
#
# An unmodified Debian kernel as L1 on an AMD host whose KVM offers no nesting: with splitx_vmx.ko
# its kvm-intel.ko runs a bare L2 for an ordinary user of KVM, trapped and split.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/nested_linux.sh
. tests/lab/nested_linux.sh

need_host amd "Linux as L1 in the emulated host"
need_modules "Linux as L1" splitx_vmx.ko
make_l1
boot_l1 400 -- plain trap colocated

judge plain 0 'guest: vendor AuthenticAMD'
holds "plain: the module is not for other guests" [ "$(said plain 'is loaded')" -eq 0 ]
for place in trap colocated; do
	judge_l1 "$place"
done
