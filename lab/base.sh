#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Makes the initramfs that every run of an emulated host begins with: the init, busybox, KVM and
# a program that checks it.
#
#   lab/base.sh amd|intel KERNEL-VERSION INIT KVMCHECK OUT
#
# writes OUT.cpio, and OUT.modules: the paths of KVM's modules in the host, in loading order.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$1 version=$2 init=$3 kvmcheck=$4 out=$5
root=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$root"' EXIT

fail() {
	echo "lab: $*" >&2
	exit 1
}

# shellcheck source=lab/rootfs.sh
. lab/rootfs.sh

mkdir -p "$root"/{bin,dev,etc,lib/modules,proc,sys,tmp}
add_busybox "$root"
cp "$kvmcheck" "$root/bin/kvmcheck"
cp "$init" "$root/init"
echo 'root:x:0:0:root:/lab:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo '127.0.0.1 localhost' >"$root/etc/hosts"

lab/kernel.sh modules "$version" "$root/lib/modules" "kvm-$host" |
	sed 's,^,/lib/modules/,' >"$out.modules"
pack "$root" "$out.cpio"
