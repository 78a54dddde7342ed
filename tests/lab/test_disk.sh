#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 3000
#
# Disks of Linux guests in the emulated AMD host, in both modes: an ext4 that is whole after each
# run, fio's own verification, a queue and its interrupts for each vCPU, and disks that fail. Linux
# and fsck are the judges.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh
# shellcheck source=tests/lab/disk.sh
. tests/lab/disk.sh

need_host amd "disks in the emulated host"
make_disk_guest

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

holds "a read-only disk is as it was" [ -e "$tmp/out/readonly" ]
holds "trap: notifications exit" [ "$(writes files-trap virtio-blk-notify)" -gt 0 ]
