#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 2400
#
# Debian's kernel boots on splitx in the emulated AMD host, by bzImage and by PVH, in both modes,
# on one vCPU and on several; poweroff, reset and panic end the run as they should.
set -euo pipefail
cd "$(dirname "$0")/../.."

export BUILD=${BUILD:-build}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if ! why=$(lab/lab amd --check 2>&1); then
	echo "skip - boots in the emulated host: $why"
	exit 0
fi

ok() { # NAME
	echo "ok - $1"
}

not_ok() { # NAME WHY
	echo "not ok - $1: $2"
}

# --- what the guests are made of -------------------------------------------------------------

make_archives() {
	local root=$tmp/guest
	mkdir -p "$root"/{bin,dev,proc,sys}
	cp "$(command -v busybox)" "$root/bin/busybox"
	install -m 755 tests/lab/boot_init.sh "$root/init"
	archive guest .
	mkdir "$tmp/second"
	echo 'initrd too' >"$tmp/second/second"
	archive second second
	mkdir -p "$tmp/drivers"
	lab/kernel.sh modules "$version" "$tmp/drivers/lib/modules" virtio_pci virtio_blk virtio_rng \
		>"$tmp/drivers/modules"
	archive drivers .
}

archive() { # DIRECTORY WHAT
	(cd "$tmp/$1" && find "$2" | cpio --quiet -o -H newc -R 0:0) >"$tmp/$1.cpio"
}

run_cases() {
	lab/kernel.sh vmlinux "$version" "$tmp/vmlinux"
	lab/lab amd --timeout 2200 --memory 2048 --file "$BUILD/splitx" \
		--file "${LAB_KERNEL_ROOT-}/boot/vmlinuz-$version:/lab/vmlinuz" \
		--file "$tmp/vmlinux" --file "$tmp/guest.cpio" --file "$tmp/second.cpio" \
		--file "$tmp/drivers.cpio" \
		--file tests/lab/boot_cases.sh --result "/tmp/out:$tmp/out" -- sh boot_cases.sh
}

# --- what they came to -----------------------------------------------------------------------

# judge NAME STATUS LINE... : the exit status, and lines that the guest said
judge() {
	local name=$1 want=$2 status line
	shift 2
	status=$(cat "$tmp/out/$name.status" 2>/dev/null || echo none)
	if [ "$status" != "$want" ]; then
		not_ok "$name" "exit status $status, not $want"
		tail -n 15 "$tmp/out/$name.out" "$tmp/out/$name.err" 2>/dev/null | sed 's/^/# /' || true
		return
	fi
	for line; do
		if ! tr -d '\r' <"$tmp/out/$name.out" | grep -qE "^$line\$"; then
			not_ok "$name" "the guest does not say '$line'"
			grep -a '^guest' "$tmp/out/$name.out" | sed 's/^/# /' || true
			return
		fi
	done
	ok "$name"
}

# holds NAME COMMAND... : a test of its own
holds() {
	local name=$1
	shift
	if "$@"; then ok "$name"; else not_ok "$name" "it does not hold"; fi
}

# counter NAME COUNTER : its sum over the vCPUs
counter() {
	sed -n "s/^ *\"$2\": \([0-9]*\),*\$/\1/p" "$tmp/out/$1.err" | awk '{ n += $1 } END { print n + 0 }'
}

# Both times that the guest looked at its disk it found the same, and so do we.
disk_is_whole() {
	local sum
	sum=$(dd if="$tmp/out/disk.img" bs=4096 skip=1 count=256 2>/dev/null | md5sum | cut -c 1-32)
	grep -q "^guest: disk $sum $sum" "$tmp/out/disk.out"
}

version=$(lab/kernel.sh newest)
make_archives
if ! run_cases >"$tmp/log" 2>&1; then
	not_ok "the emulated host runs all cases" "$(tail -n 3 "$tmp/log")"
	exit 1
fi
sed 's/^/# /' "$tmp/log"

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
