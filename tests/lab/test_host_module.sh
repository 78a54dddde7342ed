#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1200
#
# The host module on kvm-amd: what comes out of marked vCPUs, what cannot be marked, marks and loads
# that come and go under running vCPUs.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

# One core: QEMU's TCG loses patches of code that another core is translating (docs/lab.md).
host_module amd --smp 1 --memory 512 --timeout 1000 -- 20
