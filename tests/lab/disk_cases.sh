#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# shellcheck shell=dash disable=SC2086 # options are several words
#
# Runs in the emulated host for tests/lab/test_disk.sh. Disks are files in memory, through the page
# cache, and block devices, past it.
# shellcheck source=tests/lab/boot.sh
. ./boot.sh

guest='--kernel vmlinux --initrd guest.cpio --memory 256M --disk'
tools=tools.img,readonly,cache=cached

# The file system as the host sees it: sound, and with the files that the guest put there.
look_at() { # NAME IMAGE
	fsck.ext4 -fn "$2" >"/tmp/out/$1.fsck" 2>&1
	echo "fsck $?" >"/tmp/out/$1.seen"
	mount -t ext4 -o ro "$2" /mnt
	(cd /mnt/files && md5sum -c ../sums | grep -c ': OK$') >>"/tmp/out/$1.seen"
	umount /mnt
}

mkdir -p /mnt full
truncate -s 16M fs.img raw.img good.img
mkfs.ext4 -qF fs.img
boot files-trap job=files,queues --mode trap --vcpus 2 --reboot restart $guest $tools \
	--disk fs.img --disk raw.img,queues=2
look_at files-trap fs.img
mkfs.ext4 -qF /dev/ram0
boot files-split job=files,queues $split --vcpus 2 --reboot restart $guest $tools \
	--disk /dev/ram0 --disk /dev/ram1,queues=2
look_at files-split /dev/ram0

# One disk's second block cannot be read or written, one has less room behind it than it seems.
loop=$(losetup -f)
truncate -s 1M bad.img
losetup "$loop" bad.img
printf '0 8 linear %s 0\n8 8 error\n16 2032 linear %s 16\n' "$loop" "$loop" |
	dmsetup create bad --noudevsync # as /dev/dm-0
mount -t tmpfs -o size=1m full full
truncate -s 8M full/disk

faults() { # NAME MODE...
	local name=$1 holder guest_run
	shift
	mkfifo "$name.answer"
	sleep 100000 >"$name.answer" &
	holder=$!
	boot "$name" job=faults "$@" $guest /dev/dm-0 --disk full/disk --disk fs.img,readonly \
		--disk good.img <"$name.answer" &
	guest_run=$!
	heard "$guest_run" "$name" 'guest: waits'
	# What it uses is its own.
	boot "$name-taken" job=files --mode trap $guest good.img
	boot "$name-shared" job=files --mode trap $guest fs.img
	echo 'that' >"$name.answer"
	wait "$guest_run"
	kill "$holder"
}

sum=$(md5sum <fs.img)
faults faults-trap --mode trap
faults faults-split $split
[ "$sum" != "$(md5sum <fs.img)" ] || echo untouched >/tmp/out/readonly
