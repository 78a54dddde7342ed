#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash disable=SC2086 # options are several words
#
# Runs in the emulated host for tests/lab/test_boot.sh. A sidecore that never sleeps is in the case
# with a disk.
# shellcheck source=tests/lab/boot.sh
. ./boot.sh

small='--initrd guest.cpio --kernel'
boot trap1 end=off --mode trap $small vmlinuz
boot split1 end=off $split $small vmlinuz
boot trap4 end=reset --mode trap --vcpus 4 $small vmlinuz --initrd second.cpio
boot split4 end=off $split --vcpus 4 $small vmlinuz
boot pvh end=off --mode trap --vcpus 2 --memory 5G --cpu host,nested $small vmlinux
boot panic end=panic $split $small vmlinux
boot poll end=off --mode trap --idle poll --prefault --memory 256M $small vmlinux
truncate -s 4M disk.img
boot disk disk=yes --mode split --wait pause --rng --disk disk.img --reboot restart \
	--initrd drivers.cpio --kernel vmlinux
cat disk.img >/tmp/out/disk.img

# One that gets an answer once it has asked, and is stopped.
mkfifo answer
sleep 100000 >answer &
holder=$!
boot read read=yes $split $small vmlinux <answer &
guest=$!
heard "$guest" read 'guest: ready'
echo 'hello over there' >answer
heard "$guest" read 'guest: read '
kill "$holder" "$(pidof splitx)"
wait "$guest"

./host_pair vmlinux drivers.cpio 'console=ttyS0 quiet panic=-1 disk=yes' \
	disk1 /tmp/out/pair1.out disk2 /tmp/out/pair2.out >/tmp/out/pair.said 2>&1
echo $? | tee /tmp/out/pair1.status >/tmp/out/pair2.status
