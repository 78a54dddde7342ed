#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1200
#
# What splitx stat says of Debian's kernel that runs: as many requests as that kernel counts, each
# with an exit in trap mode and without one in split mode.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

need_host amd "splitx stat in the emulated host"
lab/guestfs.sh --modules virtio_pci,virtio_blk tests/lab/stat_job.sh "$tmp/guest.cpio"
in_host amd --timeout 1000 --memory 2048 --file "$tmp/guest.cpio" \
	--file tests/lab/stat_cases.sh -- sh stat_cases.sh

# total MODE KEY : the first number of that name among all that the disk counted
total() {
	sed 's/.*"total":{//; s/"difference":.*//; s/.*"virtio"://' "$tmp/out/$1.json" |
		grep -o "\"$2\":[0-9]*" | head -n 1 | cut -d : -f 2
}

reads() {
	tr -d '\r' <"$tmp/out/$1.out" | sed -n 's/^guest: reads //p'
}

for mode in trap split; do
	holds "$mode: the guest read" [ "$(reads "$mode")" -ge 200 ]
	holds "$mode: as many reads as its kernel counted" [ "$(total "$mode" reads)" = "$(reads "$mode")" ]
	holds "$mode: each was a request" [ "$(total "$mode" requests)" -ge "$(reads "$mode")" ]
	holds "$mode: the only guest is found" grep -q "^guest [0-9]* (vmlinux), $mode mode" "$tmp/out/$mode.txt"
	holds "$mode: stopped, and then not found" [ "$(tr '\n' ' ' <"$tmp/out/$mode.status")" = "143 66 " ]
done
holds "trap: each read was a notification that exits" [ "$(total trap kicks)" -ge 200 ]
holds "trap: nothing is absorbed" [ "$(total trap absorbed)" -eq 0 ]
holds "split: no notification exits" [ "$(total split kicks)" -eq 0 ]
holds "split: each is absorbed" [ "$(total split absorbed)" -ge 200 ]
