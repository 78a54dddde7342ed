#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs in the emulated host: boots guests one after the other, and leaves for each
# /tmp/out/NAME.out, .err and .status for tests/lab/test_boot.sh to judge.
mkdir -p /tmp/out

# boot NAME APPEND ARGUMENT... : standard input is the guest's
boot() {
	name=$1 append=$2
	shift 2
	status=0
	timeout "${limit:-300}" ./splitx run --initrd guest.cpio "$@" --stats=json \
		--append "console=ttyS0 quiet panic=-1 $append" \
		>"/tmp/out/$name.out" 2>"/tmp/out/$name.err" || status=$?
	echo "$status" >"/tmp/out/$name.status"
	echo "case $name: $status, $(cut -d' ' -f1 /proc/uptime) s after the start"
}

# Its cores are shared with others here: a sidecore that sleeps soon gives back what it does not
# need. One that never does is in the case with a disk, whose notifications then cost no exit.
exec </dev/null
boot trap1 end=off --mode trap --kernel vmlinuz
boot split1 end=off --mode split --wait pause:100 --kernel vmlinuz
boot trap4 end=reset --mode trap --vcpus 4 --kernel vmlinuz --initrd second.cpio
boot split4 end=off --mode split --vcpus 4 --wait pause:100 --kernel vmlinuz
boot pvh end=off --mode trap --vcpus 2 --memory 5G --cpu host,nested --kernel vmlinux
boot panic end=panic --mode split --wait pause:100 --kernel vmlinux
boot poll end=off --mode trap --idle poll --prefault --memory 256M --kernel vmlinux
truncate -s 4M disk.img
boot disk 'disk=yes end=off' --mode split --wait pause --rng --disk disk.img --reboot restart \
	--kernel vmlinux --initrd drivers.cpio
cat disk.img >/tmp/out/disk.img

# heard TEXT : wait until the guest has said it
heard() {
	tries=300
	until grep -q "$1" /tmp/out/read.out 2>/dev/null || [ "$tries" -eq 0 ]; do
		sleep 1
		tries=$((tries - 1))
	done
}

# One that gets an answer once it has asked, and is stopped.
mkfifo answer
sleep 1000 >answer &
holder=$!
boot read 'read=yes read=yes' --mode split --wait pause:100 --kernel vmlinux <answer &
heard 'guest: ready'
echo 'hello over there' >answer
heard 'guest: read '
kill "$holder" "$(pidof splitx)"
wait
