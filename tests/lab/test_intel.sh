#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 4500
#
# Debian's kernel boots on splitx in the emulated Intel host, in trap mode: one core is enough for
# that. For split mode see tests/lab/long/test_intel_split.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh
# shellcheck source=tests/lab/intel.sh
. tests/lab/intel.sh

boot_on_intel trap 1 0
holds "notifications exit" [ "$(writes trap virtio-blk-notify)" -gt 0 ]
