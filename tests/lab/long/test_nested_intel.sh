#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 7200
#
# KVM's own nesting in the emulated Intel host: as test_nested_amd.sh, on kvm-intel.
set -euo pipefail
cd "$(dirname "$0")/../../.."
# shellcheck source=tests/lab/nested_judge.sh
. tests/lab/nested_judge.sh

need_host intel "KVM's own nesting in the emulated Intel host"

measure_nesting intel
