#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Gets what the emulated hosts need out of an installed Debian kernel package.
#
#   lab/kernel.sh newest                    the newest version that is there
#   lab/kernel.sh vmlinux VERSION FILE      its uncompressed kernel, as an ELF file
#   lab/kernel.sh modules VERSION DIR NAME...
#       copies the modules and all they depend on to DIR, and prints their file names in the order
#       in which they have to be loaded
#
# LAB_KERNEL_ROOT is where boot/ and lib/modules/ lie, by default the machine's own root: a kernel
# package that was unpacked with `dpkg-deb -x` (and seen by depmod -b) does as well.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

ROOT=${LAB_KERNEL_ROOT-}

fail() {
	echo "lab: $*" >&2
	exit 1
}

# Debian's cloud kernels lack drivers, its rt kernels are another thing.
newest() {
	local file version
	for file in "$ROOT"/boot/vmlinuz-*; do
		version=${file##*/vmlinuz-}
		case $version in *cloud* | *rt*) continue ;; esac
		[ ! -e "$ROOT/lib/modules/$version/modules.dep" ] || echo "$version"
	done | sort -V | tail -n 1
}

number_at() { # FILE OFFSET BYTES
	od -An -tu"$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# The bzImage's setup header says where the compressed kernel lies (Linux,
# Documentation/arch/x86/boot.rst). Its last four bytes are the size of what it unpacks to.
vmlinux() { # VERSION FILE
	local image=$ROOT/boot/vmlinuz-$1 offset length magic unpack
	[ -r "$image" ] || fail "cannot read $image"
	[ "$(number_at "$image" 0x202 2)" -ge $((0x208)) ] || fail "$image is no bzImage we know"
	offset=$((($(number_at "$image" 0x1f1 1) + 1) * 512 + $(number_at "$image" 0x248 4)))
	length=$(($(number_at "$image" 0x24c 4) - 4))
	magic=$(od -An -tx1 -j "$offset" -N 4 "$image" | tr -d ' ')
	case $magic in
	fd377a58) unpack=xz ;;
	28b52ffd) unpack=zstd ;;
	*) fail "$image is compressed in a way we do not know (it begins with $magic)" ;;
	esac
	# head ends before tail does.
	{ tail -c +$((offset + 1)) "$image" || true; } 2>/dev/null | head -c "$length" |
		$unpack -dc >"$2" || fail "cannot unpack $image with $unpack"
}

# Symbols that only a debugger wants cost seconds while a module is loaded: the kernel walks all
# of them for each function. The code itself stays as Debian built it.
strip_module() { # FROM TO
	local from=$1
	case $1 in
	*.ko) ;;
	*.ko.xz) xz -dc "$1" >"$2" && from=$2 ;;
	*.ko.zst) zstd -qdc "$1" >"$2" && from=$2 ;;
	*) fail "$1 is compressed in a way we do not know" ;;
	esac
	strip --strip-unneeded -R .BTF -o "$2" "$from"
}

modules() { # VERSION DIR NAME...
	local version=$1 dir=$2 name verb path file lines
	local -A seen=()
	shift 2
	mkdir -p "$dir"
	for name; do
		lines=$(modprobe -d "$ROOT/" -S "$version" -D "$name" 2>/dev/null) ||
			fail "the kernel $version has no module '$name'"
		while read -r verb path _; do
			# "builtin NAME" needs no loading.
			[ "$verb" = insmod ] || continue
			[ -z "${seen[$path]-}" ] || continue
			seen[$path]=yes
			file=${path##*/}
			file=${file%%.ko*}.ko
			strip_module "$path" "$dir/$file"
			echo "$file"
		done <<<"$lines"
	done
}

case ${1-} in
newest | vmlinux | modules) "$@" ;;
*) fail "kernel.sh: unknown request '${1-}'" ;;
esac
