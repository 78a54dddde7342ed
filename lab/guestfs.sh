#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Makes the initramfs of a Linux guest: busybox, modules of the kernel package, and what the guest
# is to do. Tests and benchmarks boot it by `splitx run --initrd`, and QEMU likewise.
#
#   lab/guestfs.sh [OPTION...] JOB OUT.cpio
#
#   --file SRC[:DEST]    a file or directory, with the libraries it needs; by default /bin/NAME
#   --modules NAME,...   modules that the init loads, with those that they need
#   --kernel VERSION     of which kernel; by default the newest that is there
#
# JOB is a script for busybox' sh. lab/guestfs_init.sh, the init, says what it finds.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin # where fsck lies

here=$(dirname "$(realpath "$0")")

fail() {
	echo "guestfs: $*" >&2
	exit 1
}

# shellcheck source=lab/rootfs.sh
. "$here/rootfs.sh"

files=() modules=() version=''
while [ $# -gt 2 ]; do
	case $1 in
	--file) files+=("$2") ;;
	--modules) IFS=, read -ra modules <<<"$2" ;;
	--kernel) version=$2 ;;
	*) fail "unknown option '$1'; the head of lab/guestfs.sh says how to use it" ;;
	esac
	shift 2
done
[ $# -eq 2 ] || fail "a job and the file to write are needed; the head of lab/guestfs.sh says how"
job=$1 out=$2
[ -r "$job" ] || fail "cannot read the job '$job'"
: "${version:=$("$here/kernel.sh" newest)}"
[ -n "$version" ] || fail "there is no Debian kernel; lab/setup.sh lab installs one"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,mnt,lib/modules}
install -m 755 "$here/guestfs_init.sh" "$root/init"
install -m 644 "$job" "$root/job"
for file in "${files[@]}"; do
	add_file "$root" /bin "$file"
done
add_busybox "$root"
echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
"$here/kernel.sh" modules "$version" "$root/lib/modules" "${modules[@]}" >"$root/modules"
pack "$root" "$out"
