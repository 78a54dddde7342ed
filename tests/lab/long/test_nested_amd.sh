#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 2400
#
# KVM's own nesting in the emulated AMD host, by the exits of its KVM: an operation of L2 that L1
# handles takes several, one by shared memory none. Without nesting it is refused.
set -euo pipefail
cd "$(dirname "$0")/../../.."
# shellcheck source=tests/lab/nested_judge.sh
. tests/lab/nested_judge.sh

need_host amd "KVM's own nesting in the emulated host"

measure_nesting amd

status=0
lab/lab amd --nested 0 --file "$BUILD/splitx" -- splitx bench nested --kernel none --initrd none \
	>"$tmp/log" 2>&1 || status=$?
holds "without nesting: status 69" [ "$status" -eq 69 ]
holds "and a sentence" grep -q "KVM (kvm_amd) offers its guests neither VMX nor SVM; load" "$tmp/log"
