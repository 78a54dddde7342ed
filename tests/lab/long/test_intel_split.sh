#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 4500
#
# Debian's kernel boots on splitx in the emulated Intel host, in split mode. A sidecore wants a core
# of its own, and Bochs takes twice as long with two.
set -euo pipefail
cd "$(dirname "$0")/../../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh
# shellcheck source=tests/lab/intel.sh
. tests/lab/intel.sh

boot_on_intel split 2 1
# Who polls a disk has to look at its file too, so it naps and asks for no notification.
holds "no notification of the disk exits" [ "$(writes split virtio-blk-notify)" -eq 0 ]
