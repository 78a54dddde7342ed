# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# The job of the guests in tests/lab/test_boot.sh: says what it finds, does what its environment
# wants, and ends so: end=off, end=reset or end=panic, or as its disk says.

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

# The first time write a megabyte and its checksum, and reset; the next time find both.
use_disk() {
	if [ "$(head -c 4 /dev/vda)" = SEEN ]; then
		dd if=/dev/vda of=/again bs=4096 skip=1 count=256 iflag=direct 2>/dev/null
		echo "guest: disk $(dd if=/dev/vda bs=1 skip=4 count=32 2>/dev/null) $(md5sum </again | cut -c 1-32)"
		return
	fi
	head -c 1048576 /dev/hwrng >/first
	dd if=/first of=/dev/vda bs=4096 seek=1 oflag=direct 2>/dev/null
	printf 'SEEN%s' "$(md5sum </first | cut -c 1-32)" | dd of=/dev/vda bs=36 conv=fsync 2>/dev/null
	reboot -f
}

listen() {
	echo "guest: ready"
	read -r line </dev/console
	echo "guest: read $line"
}

tell_machine
# Setting the terminal's own attributes waits until it has sent what was written to it; not for ever.
timeout 20 stty "$(stty -g)"
[ -z "${disk-}" ] || use_disk
[ -z "${read-}" ] || while true; do listen; done
case ${end-} in
reset) reboot -f ;;
panic) echo c >/proc/sysrq-trigger ;;
esac
