#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1500
#
# An unmodified Debian kernel as L1 on an AMD host whose KVM offers no nesting: with splitx_vmx.ko
# its kvm-intel.ko runs a bare L2 for an ordinary user of KVM, trapped and split.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

need_host amd "Linux as L1 in the emulated host"
module=$BUILD/kernel/splitx_vmx.ko
[ -e "$module" ] || { echo "skip - Linux as L1: there is no $module; make kernel builds it" && exit 0; }
version=$(lab/kernel.sh newest)

mkdir "$tmp/kvm"
lab/kernel.sh modules "$version" "$tmp/kvm" kvm-intel >"$tmp/order"
mv "$tmp/order" "$tmp/kvm"
echo "echo l2: init of \$(uname -r)" >"$tmp/l2.job"
lab/guestfs.sh "$tmp/l2.job" "$tmp/l2.cpio"
lab/kernel.sh vmlinux "$version" "$tmp/vmlinux"
strip -o "$tmp/splitx" "$BUILD/splitx"
strip --strip-unneeded -R .BTF -o "$tmp/splitx_vmx.ko" "$module"
lab/guestfs.sh --file "$BUILD/lab/kvmcheck" --file "$tmp/splitx_vmx.ko" --file "$tmp/kvm" --file "$BUILD/linux/l1" \
	--file "$tmp/splitx" --file "$tmp/vmlinux" --file "$tmp/l2.cpio" \
	tests/lab/nested_linux_job.sh "$tmp/l1.cpio"

in_host amd --nested 0 --timeout 1300 --memory 3072 --file "$tmp/l1.cpio" \
	--file tests/lab/nested_linux_cases.sh -- sh nested_linux_cases.sh

holds "the host offers no nesting" grep -qx '# [0N]' <(sed 's/^/# /' "$tmp/log")
judge plain 0 'guest: vendor AuthenticAMD'
holds "plain: the module is not for other guests" [ "$(said plain 'is loaded')" -eq 0 ]
for name in trap colocated; do
	judge "$name" 0 'guest: vendor GenuineIntel' 'guest: splitx_vmx is loaded' \
		'guest: kvm-intel.ko is loaded' 'guest: vmx flags .*ept.*' \
		'guest: result 100 .*' 'guest: all is unloaded' 'guest: complaints 0'
	holds "$name: both kinds of operation" [ "$(said "$name" '^guest: result 100 ')" -eq 2 ]
done
