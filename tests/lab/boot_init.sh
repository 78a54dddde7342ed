#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# The init of the guests that tests/lab/test_boot.sh boots: says what it finds, does what the
# kernel's command line wants, and ends so: end=off, end=reset, end=panic, or as its disk says.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null

tell_machine() {
	local cpu=/sys/devices/system/cpu/cpu0 feature
	echo "guest: kernel $(uname -r)"
	echo "guest: cpus $(nproc)"
	echo "guest: memory $(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024)) MiB"
	echo "guest: clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
	echo "guest: timer $(cat /sys/devices/system/clockevents/clockevent0/current_device)"
	echo "guest: core $(cat $cpu/topology/core_cpus_list) package $(cat $cpu/topology/package_cpus_list)"
	for feature in vmx svm x2apic hypervisor; do
		! grep -qw "$feature" /proc/cpuinfo || echo "guest: feature $feature"
	done
	# What was put behind the init's archive as another one.
	[ ! -e /second ] || echo "guest: second $(cat /second)"
	echo "guest: serial interrupts $(($(sed -n 's/^ *[0-9]*: *\([0-9]*\).*ttyS0$/\1/p' /proc/interrupts) > 0))"
}

load_drivers() {
	local module
	while read -r module; do
		insmod "/lib/modules/$module"
	done </modules
}

# The first time write a megabyte and its checksum, and reset; the next time find both.
use_disk() {
	head -c 1048576 /dev/hwrng >/first
	if [ "$(head -c 4 /dev/vda)" = SEEN ]; then
		dd if=/dev/vda of=/again bs=4096 skip=1 count=256 iflag=direct 2>/dev/null
		echo "guest: disk $(dd if=/dev/vda bs=1 skip=4 count=32 2>/dev/null) $(md5sum </again | cut -c 1-32)"
		return
	fi
	dd if=/first of=/dev/vda bs=4096 seek=1 oflag=direct 2>/dev/null
	printf 'SEEN%s' "$(md5sum </first | cut -c 1-32)" | dd of=/dev/vda bs=36 conv=fsync 2>/dev/null
	reboot -f
}

tell_machine
tr ' ' '\n' </proc/cmdline >/words
while read -r word; do
	case $word in
	disk=yes)
		load_drivers
		use_disk
		;;
	read=yes)
		echo "guest: ready"
		read -r line </dev/console
		echo "guest: read $line"
		;;
	end=off) poweroff -f ;;
	end=reset) reboot -f ;;
	end=panic) exit 1 ;;
	esac
done </words
