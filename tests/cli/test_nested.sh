#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What `splitx bench nested` refuses.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/cli/common.sh
. tests/cli/common.sh

fails "nested without an initramfs" 64 "needs --kernel and --initrd" \
	"$SPLITX" bench nested --kernel /dev/null
fails "nested in another mode" 64 "leave out --mode" \
	"$SPLITX" bench nested --kernel /dev/null --initrd /dev/null --mode split

name="nested on a KVM that offers no nesting"
if [ ! -w /dev/kvm ]; then
	skip "$name" "this machine has no /dev/kvm that can be used"
elif [ "$(cat /sys/module/kvm_{intel,amd}/parameters/nested 2>/dev/null | tr -d 'N0\n')" ]; then
	skip "$name" "this machine's does"
else
	fails "$name" 69 "offers its guests neither VMX nor SVM" \
		"$SPLITX" bench nested --kernel /dev/null --initrd /dev/null
fi
finish
