#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Measures Linux guests in the emulated hosts (docs/lab.md), for machines whose KVM boots none:
# puts splitx, its peers, a kernel and what the guest needs into one, runs a suite, and brings the
# results back.
#
#   bench/lab.sh boot|virtio [OPTION...]
#   bench/lab.sh nested [amd|intel] [OPTION...]
#
# The options are those of `splitx bench`. --json and --svg are written here; without --json the
# results go to build/bench/SUITE-lab.json, those of nested to build/bench/nested-lab-HOST.json.
set -euo pipefail
cd "$(dirname "$0")/.."

export BUILD=${BUILD:-build}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "bench/lab.sh: $*" >&2
	exit 1
}

suite=${1-} host=amd
case $suite in
boot | virtio | nested) shift ;;
*) fail "the first argument is boot, virtio or nested" ;;
esac
name=$suite-lab
if [ "$suite" = nested ]; then
	case ${1-} in
	amd | intel)
		host=$1
		shift
		;;
	esac
	name=nested-lab-$host
fi

json=$BUILD/bench/$name.json svg="" options=()
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
kernel=vmlinuz
put=(--file "$BUILD/splitx")

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

# make_initrd JOB [OPTION...] : of lab/guestfs.sh
make_initrd() {
	local job=$1
	shift
	lab/guestfs.sh "$@" "bench/linux/$job" "$tmp/initrd"
	put+=(--file "$tmp/initrd")
}

# The processors of the emulated host share few real ones. A sidecore that spins takes from the
# guest what it does not need; while a guest boots there is little for it to do.
[ "$suite" != boot ] || options=(--wait pause:100 "${options[@]}")

# --- there and back --------------------------------------------------------------------------

case $suite in
boot)
	put_qemu
	make_initrd job.sh
	;;
nested)
	# Not compressed: to unpack it would take Bochs half a minute.
	kernel=vmlinux
	lab/kernel.sh vmlinux "$version" "$tmp/vmlinux"
	make_initrd l1.sh --modules "kvm-$host" --file "$BUILD/linux/l1"
	;;
virtio)
	put_qemu
	make_initrd job.sh --modules virtio_pci,virtio_blk,virtio_net \
		--file "$(command -v fio)" --file "$(command -v iperf3)"
	put_program iperf3
	put+=(--modules tun --trace)
	;;
esac
case $kernel in
vmlinuz) put+=(--file "${LAB_KERNEL_ROOT-}/boot/vmlinuz-$version:/lab/vmlinuz") ;;
vmlinux) put+=(--file "$tmp/vmlinux") ;;
esac
mkdir -p "$(dirname "$json")"
put+=(--result "/tmp/$suite.json:$json")
if [ -n "$svg" ]; then
	mkdir -p "$(dirname "$svg")"
	put_program gnuplot
	put+=(--result "/tmp/$suite.svg:$svg")
	options+=(--svg "/tmp/$suite.svg")
fi
# Where Bochs has one core alone it is twice as fast.
case $host in
amd) put+=(--memory 3072 --boot-timeout 600) ;;
intel) put+=(--memory 1536 --smp 1 --boot-timeout 1200) ;;
esac
lab/lab "$host" --timeout 7200 "${put[@]}" -- \
	splitx bench "$suite" --kernel "/lab/$kernel" --initrd /lab/initrd --where "lab-$host" \
	--json "/tmp/$suite.json" "${options[@]}"
