#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# The init of the guests that lab/guestfs.sh makes. It mounts what a small system has, loads the
# modules, runs the job, and switches the guest off; a job that wants another end does it itself.
#
# Words of the kernel's command line that are NAME=VALUE and that the kernel does not know are in
# the job's environment. Its standard input and output are the console.
#
# A kernel that was told maxcpus=1 has its other cores started here.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
ip link set lo up
for core in /sys/devices/system/cpu/cpu[1-9]*/online; do
	[ ! -e "$core" ] || echo 1 >"$core"
done
while read -r module; do
	insmod "/lib/modules/$module"
done </modules
export HOME=/ PATH=/bin
sh /job
sync
# Setting the terminal's own attributes waits until it has sent what was written to it; not for ever.
timeout 20 stty "$(stty -g)"
poweroff -f
