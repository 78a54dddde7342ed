#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# shellcheck shell=dash disable=SC2086 # options are several words
#
# Runs in the emulated host for tests/lab/long/test_kill.sh: guests whose command is killed while
# they write. Disks are files in memory, through the page cache, and block devices, past it.
# shellcheck source=tests/lab/boot.sh
. ./boot.sh

guest='--kernel vmlinux --initrd guest.cpio --memory 256M --disk'
tools=tools.img,readonly,cache=cached

truncate -s 16M fs.img raw.img

# Until it has said so often that a record is safe; then it is killed.
kill_it() { # SIDE RUN OPTION...
	local out=/tmp/out/kill-$1.out side=$1 run=$2 victim
	shift 2
	./splitx run "$@" --append "console=ttyS0 quiet panic=-1 job=records run=$run" >"$out" \
		2>"/tmp/out/kill-$side.err" &
	victim=$!
	heard "$victim" "kill-$side" 'guest: safe' $((run % 7 + 1)) || echo "kill-$side $run: ended itself"
	kill -9 "$victim"
	wait "$victim"
}

records() { # RUN COUNT
	local n=0
	while [ $n -lt "$2" ]; do
		printf 'run %06d record %06d\n' "$1" $n
		n=$((n + 1))
	done
}

# All that the guest called safe is there.
look_for() { # SIDE RUN RAW FS
	local count raw file sound
	count=$(grep -c '^guest: safe [0-9]*.$' "/tmp/out/kill-$1.out")
	records "$2" "$count" >"$1.want"
	head -c $((count * 4096)) "$3" | tr -d '\0' | cmp -s - "$1.want" && raw=whole || raw=lost
	fsck.ext4 -fy "$4" >"/tmp/out/kill-$1.fsck" 2>&1
	[ $? -le 1 ] && fsck.ext4 -fn "$4" >>"/tmp/out/kill-$1.fsck" 2>&1 && sound=sound || sound=broken
	mkdir -p "/mnt-$1"
	mount -t ext4 -o ro "$4" "/mnt-$1"
	head -c $((count * 25)) "/mnt-$1/records" | cmp -s - "$1.want" && file=whole || file=lost
	umount "/mnt-$1"
	echo "$1 $2: safe $((count > 0)) raw $raw file $file fs $sound" >>"/tmp/out/kills-$1"
	echo "killed $1 $2 after $count records, $(cut -d' ' -f1 /proc/uptime) s after the start"
}

kills() { # SIDE COUNT RAW FS OPTION...
	local side=$1 count=$2 raw=$3 fs=$4 run
	shift 4
	mkfs.ext4 -qF "$fs"
	for run in $(seq "$count"); do
		kill_it "$side" "$run" "$@" $guest $tools --disk "$raw" --disk "$fs"
		look_for "$side" "$run" "$raw" "$fs"
	done
}

# Two at a time: the host has cores enough. In split mode a run takes twice as long there.
kills trap 13 raw.img fs.img --mode trap &
kills split 7 /dev/ram1 /dev/ram0 $split &
wait
