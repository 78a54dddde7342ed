# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# The job of the guests in tests/lab/test_disk.sh. In its environment `job` says which: functions
# of this file, with commas in between.

# What is on the first disk, read-only: fio with its libraries.
use_tools() {
	mkdir -p /tools /lib64 /usr
	mount -t ext4 -o ro,noload /dev/vda /tools || echo "guest: no tools"
	for dir in lib lib64 usr; do
		mount --bind "/tools/$dir" "/$dir"
	done
	PATH=$PATH:/tools/bin
}

# Blocks written at random come back as they were written.
verify() { # NAME FILE
	if fio --name="$1" --filename="$2" --thread --ioengine=libaio --direct=1 --rw=randwrite \
		--bs=4k --size=2m --iodepth=16 --verify=crc32c --verify_fatal=1 --minimal >/fio.out 2>&1
	then
		echo "guest: fio verifies the $1"
	else
		tail -n 20 /fio.out
	fi
}

# Files of all sizes, and their checksums.
write_files() {
	mkdir /mnt/files
	for size in 0 1 511 512 513 4095 4096 4097 65536 100001 1048577; do
		head -c $size /dev/urandom >/mnt/files/$size
	done
	(cd /mnt/files && md5sum ./*) >/mnt/sums
}

# The first time files are written; after a reset they are there, and one more is written.
files() {
	mount -t ext4 /dev/vdb /mnt || echo "guest: no file system"
	if [ ! -e /mnt/sums ]; then
		write_files
		umount /mnt
		reboot -f
	fi
	echo "guest: after the reset $(cd /mnt/files && md5sum -c ../sums | grep -c ': OK$') files"
	use_tools
	verify file /mnt/fio
	umount /mnt
	verify disk /dev/vdc
}

# How many completion interrupts each of the two vCPUs got for /dev/vdc.
interrupts() {
	grep "$device-req" /proc/interrupts | awk '{ a += $2; b += $3 } END { print a + 0, b + 0 }'
}

# Each vCPU reads by itself, and the other gets no interrupt for it.
queues() {
	device=$(basename "$(readlink -f /sys/block/vdc/device)")
	echo "guest: queues $(find /sys/block/vdc/mq/* -prune | wc -l)"
	for cpu in 0 1; do
		before=$(interrupts)
		taskset -c "$cpu" dd if=/dev/vdc of=/dev/null bs=4096 count=64 iflag=direct 2>/dev/null
		echo "guest: vcpu $cpu read and got $(interrupts |
			awk -v before="$before" '{ split(before, was); print $1 - was[1], $2 - was[2] }')"
	done
}

try() { # NAME DD-ARGUMENT...
	name=$1
	shift
	if dd bs=4096 "$@" 2>/said; then
		echo "guest: $name works"
	else
		echo "guest: $name fails: $(sed -n 's/^dd: .*: //p' /said)"
	fi
}

# Disks that cannot do all; the last can.
faults() {
	try 'reading before the bad block' if=/dev/vda of=/dev/null count=1 iflag=direct
	try 'reading the bad block' if=/dev/vda of=/dev/null skip=1 count=1 iflag=direct
	try 'writing the bad block' if=/dev/zero of=/dev/vda seek=1 count=1 oflag=direct
	try 'reading behind the bad block' if=/dev/vda of=/dev/null skip=2 count=1 iflag=direct
	try 'filling the full disk' if=/dev/zero of=/dev/vdb count=1024 oflag=direct
	try 'reading the full disk' if=/dev/vdb of=/dev/null count=1 iflag=direct
	try 'writing the read-only disk' if=/dev/zero of=/dev/vdc count=1 oflag=direct
	try 'writing the good disk' if=/dev/zero of=/dev/vdd count=16 oflag=direct
	echo "guest: waits"
	read -r line </dev/console
	try "after '$line' writing the good disk" if=/dev/zero of=/dev/vdd count=16 conv=fsync
}

# Records on a raw disk and in a file, each told of once it is safe, while fio keeps the disk busy.
records() {
	use_tools
	mount -t ext4 /dev/vdc /mnt || echo "guest: no file system"
	fio --name=load --filename=/mnt/fio --thread --ioengine=libaio --direct=1 --rw=randrw --bs=4k \
		--size=1m --iodepth=8 --fsync=8 --time_based --runtime=100000 >/dev/null 2>&1 &
	n=0
	while [ $n -lt 3000 ]; do
		printf 'run %06d record %06d\n' "${run:?}" $n >/record
		dd if=/record of=/dev/vdb bs=4096 seek=$n conv=sync,fsync 2>/dev/null
		dd if=/record of=/mnt/records bs=25 seek=$n conv=notrunc,fsync 2>/dev/null
		echo "guest: safe $n"
		n=$((n + 1))
	done
}

for part in $(echo "${job:?}" | tr , " "); do
	"$part"
done
