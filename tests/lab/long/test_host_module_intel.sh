#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 3600
#
# The host module as in tests/lab/test_host_module.sh, on kvm-intel: XSETBV comes out there, and
# the handlers write control registers without KVM's emulator. Two cores, as Bochs sees each write
# to code that another core runs.
set -euo pipefail
cd "$(dirname "$0")/../../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

host_module intel --smp 2 --memory 256 --append clearcpuid=avx512f --boot-timeout 900 \
	--timeout 2400 -- 2
