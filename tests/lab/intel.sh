# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Debian's kernel boots on splitx in the emulated Intel host, on kvm-intel: what the tests of that
# share, which source this file after tests/lab/judge.sh. The guest is that of tests/lab/test_boot.sh.

# sidecores NAME : how many of them served it
# shellcheck disable=SC2154 # tmp is that of judge.sh
sidecores() {
	sed -n '/"sidecores": \[/,$p' "$tmp/out/$1.err" | grep -c '"turns"' || true
}

# boot_on_intel trap|split CORES SIDECORES
boot_on_intel() {
	local mode=$1 sum
	need_host intel "boots in the emulated Intel host"
	lab/guestfs.sh --modules virtio_pci,virtio_blk,virtio_rng tests/lab/boot_job.sh "$tmp/guest.cpio"
	sum=$(make_disk "$tmp/disk.img")
	in_host intel --smp "$2" --memory 768 --timeout 4200 --boot-timeout 1200 \
		--file "$tmp/guest.cpio" --file "$tmp/disk.img" \
		--file tests/lab/intel_cases.sh -- sh intel_cases.sh "$mode"
	judge "$mode" 80 'guest: cpus 1' "guest: disk $sum $sum" 'guest: serial interrupts 1'
	holds "KVM counts its exits" [ "$(counter "$mode" exits)" -gt 0 ]
	holds "sidecores that serve it: $3" [ "$(sidecores "$mode")" -eq "$3" ]
}
