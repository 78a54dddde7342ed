# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# The guest of the tests of disks, which source this file after tests/lab/judge.sh.
# shellcheck source=lab/rootfs.sh
. lab/rootfs.sh
export PATH=$PATH:/usr/sbin:/sbin
fail() {
	not_ok "what the guests need" "$*"
	exit 1
}

# $tmp/guest.cpio with the job, and $tmp/tools.img, a file system with fio.
# shellcheck disable=SC2154 # tmp is that of judge.sh
make_disk_guest() {
	lab/guestfs.sh --modules virtio_pci,virtio_blk,ext4 tests/lab/disk_job.sh "$tmp/guest.cpio"
	add_file "$tmp/tools" /bin "$(command -v fio)"
	mke2fs -q -t ext4 -O ^has_journal -d "$tmp/tools" "$tmp/tools.img" 160M
}
