#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 2400
#
# Debian's kernel boots on splitx in the emulated AMD host, by bzImage and by PVH, in both modes,
# on one vCPU and on several; poweroff, reset and panic end the run as they should; two of them
# share a sidecore.
set -euo pipefail
cd "$(dirname "$0")/../.."

# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

# Both times that the guest looked at its disk it found the same, and so do we.
disk_is_whole() {
	local sum
	sum=$(dd if="$tmp/out/disk.img" bs=4096 skip=1 count=256 2>/dev/null | md5sum | cut -c 1-32)
	grep -q "^guest: disk $sum $sum" "$tmp/out/disk.out"
}

need_host amd "boots in the emulated host"
lab/guestfs.sh tests/lab/boot_job.sh "$tmp/guest.cpio"
lab/guestfs.sh --modules virtio_pci,virtio_blk,virtio_rng tests/lab/boot_job.sh "$tmp/drivers.cpio"
(cd "$tmp" && echo 'initrd too' >second && echo second | cpio --quiet -o -H newc >second.cpio)

sum1=$(make_disk "$tmp/disk1") sum2=$(make_disk "$tmp/disk2")

in_host amd --timeout 2200 --memory 2048 \
	--file "${LAB_KERNEL_ROOT-}/boot/vmlinuz-$(lab/kernel.sh newest):/lab/vmlinuz" \
	--file "$tmp/guest.cpio" --file "$tmp/second.cpio" --file "$tmp/drivers.cpio" \
	--file "$tmp/disk1" --file "$tmp/disk2" --file "$BUILD/tests/lab/host_pair" \
	--file tests/lab/boot_cases.sh -- sh boot_cases.sh

clock='guest: clock kvm-clock' timer='guest: timer lapic-deadline' serial='guest: serial interrupts 1'
judge trap1 0 'guest: kernel .*-amd64' 'guest: cpus 1' 'guest: memory 4[0-9][0-9] MiB' "$clock" \
	"$timer" "$serial" 'guest: feature hypervisor' 'guest: feature x2apic'
judge split1 0 'guest: cpus 1' "$clock" "$timer" "$serial"
judge trap4 80 'guest: cpus 4' 'guest: second initrd too' 'guest: core 0 package 0-3' "$serial"
judge split4 0 'guest: cpus 4' "$serial"
judge pvh 0 'guest: cpus 2' 'guest: memory 4[5-9][0-9][0-9] MiB' 'guest: feature svm' \
	'guest: core 0 package 0-1'
judge panic 80 'guest: cpus 1'
judge poll 0 'guest: cpus 1' 'guest: memory [12][0-9][0-9] MiB'
judge disk 0 'guest: disk .*'
judge read 143 'guest: read hello over there'
holds "disk: what was written before a reset is there after it" disk_is_whole
holds "disk: the kernel started twice" [ "$(grep -c '^guest: cpus' "$tmp/out/disk.out")" -eq 2 ]
holds "trap1: a hypervisor inside is not offered" [ "$(grep -c 'feature svm' "$tmp/out/trap1.out")" -eq 0 ]
holds "trap4: a vCPU that halts exits" [ "$(counter trap4 halt_exits)" -gt 0 ]
holds "poll: one that keeps its core does not" [ "$(counter poll halt_exits)" -eq 0 ]
holds "disk: no notification exits where the sidecore never sleeps" \
	[ "$(writes disk virtio-blk-notify)-$(writes disk virtio-rng-notify)" = 0-0 ]
judge pair1 0 "guest: disk $sum1 $sum1"
judge pair2 0 "guest: disk $sum2 $sum2"
holds "two PCs on one sidecore, at the same time" grep -qx 'pair: 2 switched off' "$tmp/out/pair.said"
