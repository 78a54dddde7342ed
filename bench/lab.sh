#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Measures Linux guests in the emulated AMD host (docs/lab.md), for machines whose KVM boots none:
# puts splitx, QEMU, a kernel and what the guest needs into it, runs a suite, and brings the
# results back.
#
#   bench/lab.sh SUITE [OPTION...]
#
# SUITE is boot or virtio; the options are those of `splitx bench`. --json and --svg are written
# here; without --json the results go to build/bench/SUITE-lab.json.
set -euo pipefail
cd "$(dirname "$0")/.."

export BUILD=${BUILD:-build}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "bench/lab.sh: $*" >&2
	exit 1
}

suite=${1-}
case $suite in
boot | virtio) ;;
*) fail "the first argument is boot or virtio" ;;
esac
shift

json=$BUILD/bench/$suite-lab.json svg="" options=()
while [ $# -gt 0 ]; do
	case $1 in
	--json | --svg)
		[ $# -ge 2 ] || fail "$1 needs a file"
		declare "${1#--}=$2"
		shift
		;;
	*) options+=("$1") ;;
	esac
	shift
done

# --- what the host is given ------------------------------------------------------------------

version=$(lab/kernel.sh newest)
put=(--file "$BUILD/splitx" --file "${LAB_KERNEL_ROOT-}/boot/vmlinuz-$version:/lab/vmlinuz")

# put_program NAME : one of this machine, in the host's PATH
put_program() {
	local path
	path=$(command -v "$1") || fail "$1 is missing; lab/setup.sh lab installs it"
	put+=(--file "$path")
}

# QEMU looks for its firmware in ../share of where it lies itself, which is /lab.
put_qemu() {
	local file
	put_program qemu-system-x86_64
	for file in qemu/bios-microvm.bin qemu/pvh.bin qemu/linuxboot_dma.bin qemu/kvmvapic.bin \
		seabios/bios-256k.bin; do
		[ -r "/usr/share/$file" ] || fail "/usr/share/$file is missing; lab/setup.sh lab installs it"
		put+=(--file "/usr/share/$file:/share/$file")
	done
}

# make_initrd [OPTION...] : of lab/guestfs.sh
make_initrd() {
	lab/guestfs.sh "$@" bench/linux/job.sh "$tmp/initrd"
	put+=(--file "$tmp/initrd")
}

# The processors of the emulated host share few real ones. A sidecore that spins takes from the
# guest what it does not need; while a guest boots there is little for it to do.
[ "$suite" != boot ] || options=(--wait pause:100 "${options[@]}")

# --- there and back --------------------------------------------------------------------------

put_qemu
case $suite in
boot) make_initrd ;;
virtio)
	make_initrd --modules virtio_pci,virtio_blk,virtio_net \
		--file "$(command -v fio)" --file "$(command -v iperf3)"
	put_program iperf3
	put+=(--modules tun --trace)
	;;
esac
mkdir -p "$(dirname "$json")"
put+=(--result "/tmp/$suite.json:$json")
if [ -n "$svg" ]; then
	mkdir -p "$(dirname "$svg")"
	put_program gnuplot
	put+=(--result "/tmp/$suite.svg:$svg")
	options+=(--svg "/tmp/$suite.svg")
fi
lab/lab amd --memory 3072 --boot-timeout 600 --timeout 7200 "${put[@]}" -- \
	splitx bench "$suite" --kernel /lab/vmlinuz --initrd /lab/initrd --where lab-amd \
	--json "/tmp/$suite.json" "${options[@]}"
