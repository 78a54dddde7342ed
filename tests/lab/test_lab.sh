#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1200
#
# The emulated hosts keep what lab/lab promises: statuses, output and files come through, and
# what goes wrong with the host itself is told apart from what goes wrong in it.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Its own build, so that what is left behind can be counted while others use the hosts.
programs=${BUILD:-build}
export BUILD=$programs/test-lab
mkdir -p "$BUILD"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 skipped=0

ok() { # NAME
	echo "ok - $1"
	passed=$((passed + 1))
}

not_ok() { # NAME WHY
	echo "not ok - $1: $2"
	failed=$((failed + 1))
	[ ! -s "$tmp/err" ] || sed 's/^/# /' "$tmp/err"
}

# lab ARGUMENT... : leaves the status in $status, the output in $tmp/out and $tmp/err
lab() {
	status=0
	lab/lab "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}

matches() { # TEXT PATTERN
	# shellcheck disable=SC2053 # it is a pattern
	[[ $1 == $2 ]]
}

# check NAME STATUS [OUT [ERR]] : the status of the last run, and patterns of its output
check() {
	local name=$1 out err
	out=$(cat "$tmp/out") err=$(cat "$tmp/err")
	if [ "$status" -ne "$2" ]; then
		not_ok "$name" "exit status $status, not $2"
	elif ! matches "$out" "${3-*}"; then
		not_ok "$name" "its output is '$out'"
	elif ! matches "$err" "${4-*}"; then
		not_ok "$name" "its standard error is '$err'"
	else
		ok "$name"
	fi
}

same_file() { # NAME A B
	if cmp -s "$2" "$3"; then ok "$1"; else not_ok "$1" "the file differs"; fi
}

# Logs are kept only of runs in which the host failed; one sentence says where.
log_is_kept() { # NAME
	local log
	log=$(sed -n 's/.*its console is in \([^,]*\),.*/\1/p' "$tmp/err")
	if [ "$(wc -l <"$tmp/err")" -ne 1 ] || [ -z "$log" ]; then
		not_ok "$1" "there is more, or less, than one sentence that names the log"
	elif [ ! -e "$log" ]; then
		not_ok "$1" "there is no log $log"
	else
		ok "$1"
	fi
	rm -f "$log" "$log.emulator"
}

nothing_left() { # NAME
	local left
	left=$(find "$BUILD/lab/run" "$BUILD/lab/logs" -mindepth 1)
	if [ -z "$left" ]; then ok "$1"; else not_ok "$1" "left behind: $left"; fi
}

# --- what both hosts do; the first arguments are for the cheapest host of its kind -----------

test_success() { # HOST SIZE
	head -c "$2" /dev/urandom >"$tmp/random"
	# shellcheck disable=SC2016 # the host's shell expands
	lab "$1" "${cheap[@]}" --nested 0 --file "$tmp/random" --file /usr/bin/od:/lab/od-of-this-host \
		--modules tun --result /tmp/back:"$tmp/back" --result /tmp/tree:"$tmp/tree" -- \
		sh -c 'cp random /tmp/back; mkdir -p /tmp/tree/a; echo deep >/tmp/tree/a/b
			echo "$1"; cat /sys/module/kvm_$2/parameters/nested
			od-of-this-host -An -tu4 -N4 /dev/zero; test -c /dev/net/tun && echo tun
			echo "not output" >&2' sh 'two  words' "$1"
	check "$1: the command's output, its arguments, modules, libraries, nested=0" 0 \
		$'two  words\n[0N]\n *0\ntun' 'not output'
	same_file "$1: a file of $2 random bytes comes back as it was" "$tmp/random" "$tmp/back"
	echo deep >"$tmp/deep"
	same_file "$1: a directory comes back" "$tmp/deep" "$tmp/tree/a/b"
	rm -rf "$tmp/tree" "$tmp/back"
}

test_failures() { # HOST
	lab "$1" "${cheap[@]}" --nested 1 -- sh -c 'cat /sys/module/kvm_*/parameters/nested; exit 3'
	check "$1: exit status 3 passes through, nested=1" 3 '[1Y]'
	lab "$1" "${cheap[@]}" --timeout 2 -- sleep 1000
	check "$1: a command that does not end has the status 124" 124 '*' '*did not end within 2 s*'
	log_is_kept "$1: and its console's log is named"
	lab "$1" "${cheap[@]}" -- sh -c 'echo c >/proc/sysrq-trigger; sleep 1000'
	check "$1: a panic has the status 126" 126 '*' '*the host panicked*'
	log_is_kept "$1: and its console's log is named"
	lab "$1" "${cheap[@]}" --boot-timeout 1 -- true
	check "$1: a host that is not up in time has the status 125" 125 '*' '*did not come up within 1 s*'
	rm -f "$BUILD"/lab/logs/*
}

test_bare() { # HOST
	lab "$1" --timeout 120 --bare "$tmp/bare" -- one two
	check "$1: a Multiboot image runs and ends with its status" 7 'bare says: one two'
	lab "$1" --timeout 120 --bare tests/lab/bare.S
	check "$1: what is no image is refused" 125 '*' '*no ELF file*'
}

# --- what the amd host, being the fast one, does for both -------------------------------------

test_more_statuses() {
	lab amd -- sh -c 'kill -9 $$'
	check "amd: a command that dies of signal 9 has the status 137" 137
	lab amd -- no-such-program
	check "amd: a command that is not there has the status 127" 127 '*' "*cannot run 'no-such-program'*"
	lab amd --result /tmp/none:"$tmp/none" -- true
	check "amd: a missing result makes a success the status 125" 125 '*' '*did not come*'
	lab amd --result /tmp/none:"$tmp/none" -- false
	check "amd: and leaves a failure as it is" 1
	lab amd --kvm-param no_such_parameter=1 --kvm-param nested=x -- true
	check "amd: a module that the kernel refuses has the status 125" 125 '*' '*refuses the module*'
	rm -f "$BUILD"/lab/logs/*
}

test_usage() {
	lab arm -- true
	check "an unknown host is refused" 125 '*' '*the first argument is amd or intel*'
	lab amd
	check "no command is refused" 125 '*' '*there is no command*'
	lab amd --no-such-option -- true
	check "an unknown option is refused" 125 '*' "*unknown option '--no-such-option'*"
	lab amd --file "$tmp/none" -- true
	check "a file that is not there is refused" 125 '*' '*does not exist*'
	lab amd --file /etc/passwd:/lab/../init -- true
	check "a destination that climbs is refused" 125 '*' '*not an absolute path*'
	lab amd --modules no_such_module -- true
	check "a module that is not there is refused" 125 '*' "*no module 'no_such_module'*"
	lab amd --smp 99 -- true
	check "too many cores are refused" 125 '*' '*--smp*'
}

test_side_by_side() {
	local one=0 two=0 first
	lab/lab amd -- sh -c 'exit 11' >/dev/null 2>"$tmp/err" &
	first=$!
	lab/lab amd -- sh -c 'exit 12' >/dev/null 2>>"$tmp/err" || two=$?
	wait "$first" || one=$?
	if [ "$one-$two" = 11-12 ]; then
		ok "two hosts run side by side"
	else
		not_ok "two hosts run side by side" "exit statuses $one and $two"
	fi
}

# The emulator that the process PID, once it is the supervisor, has started.
emulator_of() { # PID
	local child children=()
	read -ra children <"/proc/$1/task/$1/children" || true
	for child in "${children[@]}"; do
		case $(cat "/proc/$child/comm" 2>/dev/null) in qemu*) echo "$child" ;; esac
	done
}

test_killed() {
	local pid child
	lab/lab amd -- sleep 1000 >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	for _ in {1..300}; do
		child=$(emulator_of "$pid")
		[ -z "$child" ] || break
		sleep 0.1
	done
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	if [ -z "$child" ] || [ "$status" -ne 143 ] || kill -0 "$child" 2>/dev/null; then
		not_ok "a signal ends the host" "status $status, emulator ${child:-not seen}"
	else
		ok "a signal ends the host"
	fi
}

test_shell() {
	status=0
	lab/lab amd --shell >"$tmp/out" 2>"$tmp/err" <<<'test -c /dev/kvm && exit 4' || status=$?
	check "amd: a shell takes its input and ends with its status" 4 '*# *'
}

# The end of the other VMs, too, must not be the end of the host.
test_storm() {
	local storm=$programs/tests/lab/host_storm
	[ -x "$storm" ] || { skip "amd: VMs come and go" "there is no $storm; make build-lab builds it" && return; }
	lab amd --timeout 400 --file "$storm" -- ./host_storm 200
	check "amd: VMs come and go while other cores work" 0 '*storm: 200 VMs*'
}

build_bare() {
	cc -m32 -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
		-o "$tmp/bare" tests/lab/bare.S
}

skip() { # NAME WHY
	echo "skip - $1: $2"
	skipped=$((skipped + 1))
}

for host in amd intel; do
	if ! lab/lab "$host" --check 2>"$tmp/err"; then
		skip "$host" "$(cat "$tmp/err")"
		continue
	fi
	build_bare
	case $host in
	amd) cheap=() size=1048576 ;;
	intel) cheap=(--smp 1 --memory 512) size=16384 ;;
	esac
	lab "$host" -- kvmcheck
	check "$host: four cores, and a guest runs" 0 $'kvm: api 12\ncores: 4\n*guest: runs'
	test_success "$host" "$size"
	test_failures "$host"
	test_bare "$host"
	if [ "$host" = amd ]; then
		test_more_statuses
		test_usage
		test_side_by_side
		test_killed
		test_shell
		test_storm
	fi
	nothing_left "$host: no file is left behind"
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
