# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# For the tests of a Linux as L1 (tests/lab/nested_linux_job.sh) in the emulated AMD host, whose KVM
# offers no nesting: sourced by them.
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

version=$(lab/kernel.sh newest)

need_modules() { # NAME MODULE...
	local name=$1 module
	shift
	for module; do
		[ -e "$BUILD/kernel/$module" ] && continue
		echo "skip - $name: there is no $BUILD/kernel/$module; make kernel builds it"
		exit 0
	done
}

# L1's initramfs, in which is all that an L2 needs: $tmp/l1.cpio
make_l1() {
	mkdir "$tmp/kvm"
	lab/kernel.sh modules "$version" "$tmp/kvm" kvm-intel >"$tmp/order"
	mv "$tmp/order" "$tmp/kvm"
	echo "echo l2: init of \$(uname -r)" >"$tmp/l2.job"
	lab/guestfs.sh "$tmp/l2.job" "$tmp/l2.cpio"
	lab/kernel.sh vmlinux "$version" "$tmp/vmlinux"
	strip -o "$tmp/splitx" "$BUILD/splitx"
	strip --strip-unneeded -R .BTF -o "$tmp/splitx_vmx.ko" "$BUILD/kernel/splitx_vmx.ko"
	lab/guestfs.sh --file "$BUILD/lab/kvmcheck" --file "$tmp/splitx_vmx.ko" --file "$tmp/kvm" \
		--file "$BUILD/linux/l1" --file "$tmp/splitx" --file "$tmp/vmlinux" --file "$tmp/l2.cpio" \
		tests/lab/nested_linux_job.sh "$tmp/l1.cpio"
}

# boot_l1 SECONDS OPTION... -- CASE... : of tests/lab/nested_linux_cases.sh, so long for each
boot_l1() {
	local seconds=$1 options=()
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	in_host amd --nested 0 --timeout $((seconds * $# + 100)) --memory 3072 "${options[@]}" \
		--file "$tmp/l1.cpio" --file tests/lab/nested_linux_cases.sh -- \
		sh nested_linux_cases.sh "$seconds" "$@"
	holds "the host offers no nesting" grep -qx '# [0N]' <(sed 's/^/# /' "$tmp/log")
}

# judge_l1 NAME LINE... : what each L1 with VMX says that ends well, and these lines
judge_l1() {
	local name=$1
	shift
	judge "$name" 0 'guest: vendor GenuineIntel' 'guest: splitx_vmx is loaded' \
		'guest: kvm-intel.ko is loaded' 'guest: vmx flags .*ept.*' \
		'guest: result 100 .*' "$@" 'guest: all is unloaded' 'guest: complaints 0'
	holds "$name: both kinds of operation" [ "$(said "$name" '^guest: result 100 ')" -eq 2 ]
}
