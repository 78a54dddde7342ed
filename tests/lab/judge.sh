# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# For the tests that boot guests in an emulated host: sourced by them, with `set -euo pipefail` in
# force. Their guests' words and statuses, which tests/lab/boot.sh left there, are in $tmp/out.

export BUILD=${BUILD:-build}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

need_host() { # amd|intel NAME
	local why
	why=$(lab/lab "$1" --check 2>&1) || {
		echo "skip - $2: $why"
		exit 0
	}
}

ok() { # NAME
	echo "ok - $1"
}

not_ok() { # NAME WHY
	echo "not ok - $1: $2"
}

# The host itself failed, not what ran in it: QEMU's TCG may lose what a kernel writes into its own
# code, which hangs or crashes any kernel (docs/lab.md, "Quirks").
host_failed() {
	grep -qE '^lab: the host (panicked|did not come up)' "$tmp/log"
}

# run_host ARGUMENT... : lab/lab with these, its words in $tmp/log, what it brings back in $tmp/out.
# A host that fails gets a second chance, and the test says so.
run_host() {
	local status=0
	lab/lab "$@" >"$tmp/log" 2>&1 || status=$?
	if [ "$status" -ne 0 ] && host_failed; then
		echo "# once more, since $(grep '^lab: the host' "$tmp/log")"
		rm -rf "$tmp/out"
		status=0
		lab/lab "$@" >"$tmp/log" 2>&1 || status=$?
	fi
	return "$status"
}

# in_host amd|intel OPTION... -- COMMAND : with splitx and the uncompressed kernel there
in_host() {
	local host=$1
	shift
	lab/kernel.sh vmlinux "$(lab/kernel.sh newest)" "$tmp/vmlinux"
	if ! run_host "$host" --file "$BUILD/splitx" --file "$tmp/vmlinux" \
		--file tests/lab/boot.sh --result "/tmp/out:$tmp/out" "$@"; then
		not_ok "the emulated host runs all cases" "$(tail -n 3 "$tmp/log")"
		exit 1
	fi
	sed 's/^/# /' "$tmp/log"
}

# A disk as the guests of boot_job.sh leave it: a megabyte, with its checksum in front. Says it.
make_disk() { # FILE
	local sum
	head -c 1048576 /dev/urandom >"$tmp/data"
	sum=$(md5sum <"$tmp/data" | cut -c 1-32)
	{
		printf 'SEEN%s' "$sum"
		head -c 4060 /dev/zero
		cat "$tmp/data"
	} >"$1"
	echo "$sum"
}

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
		if ! tr -d '\r' <"$tmp/out/$name.out" | grep -E "^$line\$" >/dev/null; then
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

# said NAME PATTERN : how many lines of the guest match
said() {
	tr -d '\r' <"$tmp/out/$1.out" | grep -cE "$2" || true
}

# counter NAME COUNTER : one of KVM's, its sum over the vCPUs
counter() {
	sed -n "s/^ *\"$2\": \([0-9]*\),*\$/\1/p" "$tmp/out/$1.err" | awk '{ n += $1 } END { print n + 0 }'
}

# writes NAME RANGE : exits by writes to a device's registers, of all devices of that kind
writes() {
	awk -v name="\"$2\"," '$1 == "\"name\":" { mine = $2 == name }
		$1 == "\"writes\":" && mine { n += $2 } END { print n + 0 }' "$tmp/out/$1.err"
}

# host_module amd|intel OPTION... -- ROUNDS : the cases of tests/lab/module_cases.sh, which judge
# themselves
host_module() {
	local host=$1 module=$BUILD/kernel/splitx_host.ko options=() status=0
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	need_host "$host" "the host module"
	if [ ! -e "$module" ]; then
		echo "skip - the host module: the headers of the emulated hosts' kernel are missing"
		return
	fi
	lab/lab "$host" "${options[@]}" --file "$BUILD/tests/lab/host_module" --file "$module" \
		--file tests/lab/module_cases.sh -- sh module_cases.sh "$2" || status=$?
	[ "$status" -eq 0 ] || not_ok "the emulated host runs all cases" "exit status $status"
}
