#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The program that is L1's in `splitx bench nested --kernel`, on this machine's own KVM: what it
# runs is checked by itself, and a wrong count of exits or a wrong answer ends it. And what it
# refuses.
set -euo pipefail
cd "$(dirname "$0")/../.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
l1=$SX_BUILD_DIR/linux/l1
failed=0

ok() { # NAME
	echo "ok - $1"
}

not_ok() { # NAME
	echo "not ok - $1: $(tail -n 2 "$tmp/out" | tr '\n' ' ')"
	failed=1
}

# tell LINE... : to it, and keep what it says
tell() {
	status=0
	printf '%s\n' "$@" | "$l1" >"$tmp/out" 2>&1 || status=$?
}

# works OP COUNT : ready, done, and a result of as many operations
works() {
	tell "$1 $2" go go end
	if [ "$status" -eq 0 ] && [ "$(sed -n '2,$s/ [^ ]* *[0-9.]* [0-9.]* [0-9.]* [0-9.]*$//p' "$tmp/out" |
		tail -n 1)" = "splitx-bench: result $2" ] &&
		[ "$(grep -cE '^splitx-bench: (init|ready|done|result)' "$tmp/out")" -eq 4 ]; then
		ok "$1, $2 of them"
	else
		not_ok "$1, $2 of them"
	fi
}

# refuses NAME SENTENCE LINE...
refuses() {
	local name=$1 sentence=$2
	shift 2
	tell "$@"
	if [ "$status" -eq 1 ] && grep -q "^splitx-bench: failed $sentence" "$tmp/out"; then
		ok "$name"
	else
		not_ok "$name"
	fi
}

if [ ! -w /dev/kvm ]; then
	echo "skip - L1's program: it needs /dev/kvm"
	exit 0
fi
if ! taskset -c 0 true 2>/dev/null || ! taskset -c 1 true 2>/dev/null; then
	tell end
	if [ "$status" -eq 1 ] && grep -q 'L1 needs two CPUs' "$tmp/out"; then
		ok "without two CPUs it says so"
	else
		not_ok "without two CPUs it says so"
	fi
	exit "$failed"
fi
works l2_nothing 1
works l2_cpuid 50
works l2_pio 50
works l2_mmio 50
works l2_passthrough 1
works l2_passthrough 50
refuses "an operation that is none" 'L1 was asked for something' 'l2_vmcall 1'
refuses "an operation without a count" 'L1 was asked for something' 'l2_cpuid'
refuses "no operations" 'L2 does 1 to ' 'l2_cpuid 0'
refuses "more operations than there is room for" 'L2 does 1 to ' 'l2_cpuid 1000000'
refuses "a host that hangs up" 'the host says nothing more' 'l2_cpuid 1' 'go'
exit "$failed"
