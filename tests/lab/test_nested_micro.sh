#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1800
#
# L2's MSRs and CPUID on Debian's own kvm-amd: the same programs as in the suite `integration`,
# where a processor with SVM runs L2.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

need_host amd "micro-L2s in the emulated host"
files=()
for guest in l1_msr l1_cpuid; do
	files+=(--file "$BUILD/tests/guests/$guest:/lab/tests/guests/$guest")
done
for name in msr cpuid; do
	files+=(--file "$BUILD/tests/integration/test_nested_$name")
done
status=0
run_host amd --nested 0 --timeout 1700 "${files[@]}" -- \
	env SX_BUILD_DIR=/lab sh -c './test_nested_msr && ./test_nested_cpuid' || status=$?
sed -n 's/^\[       OK \] \(.*\)/ok - micro-L2 on kvm-amd: \1/p' "$tmp/log"
if [ "$status" != 0 ] || grep -q SKIPPED "$tmp/log"; then
	not_ok "micro-L2 on kvm-amd" "exit status $status: $(grep -v 'OK \|RUN' "$tmp/log" | tail -n 5)"
	exit 1
fi
