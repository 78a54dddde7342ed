# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# What a Linux guest does in a benchmark (lab/guestfs.sh makes it its job). It says when its kernel
# started init, then does as it is told, line by line, over the console: bench/vmm.h is the other
# side.

# say WORD... : a line for the benchmark
say() {
	echo "splitx-bench: $*"
}

stty -echo </dev/console
say init "$(dmesg | sed -n 's/^\[ *\([0-9.]*\)\] Run .* as init process$/\1/p')"
while read -r what _; do
	case $what in
	end) break ;;
	*) say failed "the guest does not know '$what'" ;;
	esac
done
