#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 3600
#
# What is on the disks of a Linux guest when the command is killed in the middle of fio: all that
# the guest was told is safe. Twenty times, in the emulated AMD host.
set -euo pipefail
cd "$(dirname "$0")/../../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh
# shellcheck source=tests/lab/disk.sh
. tests/lab/disk.sh

need_host amd "disks of a guest that is killed"
make_disk_guest
in_host amd --smp 3 --timeout 3400 --memory 1536 --modules brd,ext4,loop --file "$tmp/guest.cpio" \
	--file "$tmp/tools.img" --file tests/lab/kill_cases.sh --file "$(command -v fsck.ext4)" \
	--file "$(command -v mkfs.ext4)" -- sh kill_cases.sh

# whole MODE : how often all that was safe when the command was killed was there
whole() {
	grep -cx "$1 [0-9]*: safe 1 raw whole file whole fs sound" "$tmp/out/kills-$1"
}
holds "kill -9, trap: thirteen times, all that was safe is there" [ "$(whole trap)" -eq 13 ]
holds "kill -9, split: seven times, likewise" [ "$(whole split)" -eq 7 ]
