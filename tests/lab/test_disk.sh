#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 3000
#
# Disks of Linux guests in the emulated AMD host, in both modes: an ext4 that is whole after each
# run, fio's own verification, a queue and its interrupts for each vCPU, disks that fail, and what
# is on them when the command is killed. Linux and fsck are the judges.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh
# shellcheck source=lab/rootfs.sh
. lab/rootfs.sh
export PATH=$PATH:/usr/sbin:/sbin
fail() {
	not_ok "what the guests need" "$*"
	exit 1
}

need_host amd "disks in the emulated host"
lab/guestfs.sh --modules virtio_pci,virtio_blk,ext4 tests/lab/disk_job.sh "$tmp/guest.cpio"
add_file "$tmp/tools" /bin "$(command -v fio)"
mke2fs -q -t ext4 -O ^has_journal -d "$tmp/tools" "$tmp/tools.img" 160M

in_host amd --smp 3 --timeout 2800 --memory 1536 --modules brd,loop,dm_mod,ext4 --file "$tmp/guest.cpio" \
	--file "$tmp/tools.img" --file tests/lab/disk_cases.sh --file "$(command -v fsck.ext4)" \
	--file "$(command -v mkfs.ext4)" --file "$(command -v dmsetup)" -- sh disk_cases.sh

for mode in trap split; do
	judge files-$mode 0 'guest: after the reset 11 files' 'guest: fio verifies the file' \
		'guest: fio verifies the disk' 'guest: queues 2' \
		'guest: vcpu 0 read and got 64 0' 'guest: vcpu 1 read and got 0 64'
	holds "files-$mode: fsck has nothing to say, and the files are there" \
		[ "$(cat "$tmp/out/files-$mode.seen")" = $'fsck 0\n11' ]
	judge faults-$mode 0 'guest: reading before the bad block works' \
		'guest: reading the bad block fails: Input/output error' \
		'guest: writing the bad block fails: Input/output error' \
		'guest: reading behind the bad block works' \
		'guest: filling the full disk fails: Input/output error' \
		'guest: reading the full disk works' \
		'guest: writing the read-only disk fails: Operation not permitted' 'guest: writing the good disk works' \
		"guest: after 'that' writing the good disk works"
	judge faults-$mode-taken 69
	judge faults-$mode-shared 69
done

# whole MODE : how often all that was safe when the command was killed was there
whole() {
	grep -cx "$1 [0-9]*: safe 1 raw whole file whole fs sound" "$tmp/out/kills-$1"
}
holds "kill -9, trap: thirteen times, all that was safe is there" [ "$(whole trap)" -eq 13 ]
holds "kill -9, split: seven times, likewise" [ "$(whole split)" -eq 7 ]
holds "a read-only disk is as it was" [ -e "$tmp/out/readonly" ]
holds "trap: notifications exit" [ "$(writes files-trap virtio-blk-notify)" -gt 0 ]
