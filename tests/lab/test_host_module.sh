#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1200
#
# The host module on Debian's KVM: what comes out of marked vCPUs, what cannot be marked, marks and
# loads that come and go under running vCPUs.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

module=$BUILD/kernel/splitx_host.ko

need_host amd "the host module"
if [ ! -e "$module" ]; then
	echo "skip - the host module: it is not built; the headers of the hosts' kernel are missing"
	exit 0
fi
status=0
# One core: QEMU's TCG loses patches of code that another core is translating (docs/lab.md).
lab/lab amd --smp 1 --memory 512 --timeout 1000 --file "$BUILD/tests/lab/host_module" --file "$module" \
	--file tests/lab/module_cases.sh -- sh module_cases.sh 20 || status=$?
[ "$status" -eq 0 ] || not_ok "the emulated host runs all cases" "exit status $status"
