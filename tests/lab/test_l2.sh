#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1800
#
# The memory of an L2 VM on Debian's own kvm-amd: the same program as in the suite `integration`,
# where the processor walks L2's page tables and KVM says nothing but -EFAULT.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

need_host amd "an L2 VM in the emulated host"
status=0
run_host amd --nested 0 --timeout 1700 --file "$BUILD/tests/integration/test_l2_memory" -- \
	./test_l2_memory || status=$?
sed -n 's/^\[       OK \] \(.*\)/ok - L2 VM on kvm-amd: \1/p' "$tmp/log"
if [ "$status" != 0 ] || grep -q SKIPPED "$tmp/log"; then
	not_ok "L2 VM on kvm-amd" "exit status $status: $(grep -v 'OK \|RUN' "$tmp/log" | tail -n 5)"
	exit 1
fi
