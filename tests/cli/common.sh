# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# For the tests of the command: sourced by them, with `set -euo pipefail` in force. A test says
# what it found as "ok - NAME", "not ok - NAME: WHY" or "skip - NAME: WHY", and ends with finish.

: "${SX_BUILD_DIR:?names the folder that splitx was built in}"
# shellcheck disable=SC2034 # used by who sources this
SPLITX=$SX_BUILD_DIR/splitx GUESTS=$SX_BUILD_DIR/guests TEST_GUESTS=$SX_BUILD_DIR/tests/guests

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
mkdir "$tmp/here" # where commands run, and nothing may be left
chmod 777 "$tmp/here"
passed=0 failed=0 skipped=0

ok() { # NAME
	echo "ok - $1"
	passed=$((passed + 1))
}

not_ok() { # NAME WHY
	echo "not ok - $1: $2"
	failed=$((failed + 1))
	sed 's/^/# stdout: /' "$tmp/out"
	sed 's/^/# stderr: /' "$tmp/err"
}

skip() { # NAME WHY
	echo "skip - $1: $2"
	skipped=$((skipped + 1))
}

finish() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
}

# Run a command in a session of its own; its words go to $tmp/out and $tmp/err, or standard output
# to where $out says. Sets status, and left: what is left behind.
invoke() { # COMMAND...
	status=0 left=
	: >"$tmp/out"
	(
		cd "$tmp/here"
		# shellcheck disable=SC2016 # expanded by that shell
		TMPDIR=$tmp/here exec setsid --wait sh -c 'echo $$ >"$0"; exec "$@"' "$tmp/pid" "$@"
	) </dev/null >"${out-$tmp/out}" 2>"$tmp/err" || status=$?
	! kill -0 -- "-$(cat "$tmp/pid")" 2>/dev/null || left+=" a process"
	[ -z "$(ls -A "$tmp/here")" ] || left+=" a file"
}

# What is wrong with a failure: it says more or less than one sentence, or leaves something.
flaw() { # STATUS TEXT
	local lines
	lines=$(wc -l <"$tmp/err")
	if [ "$status" -ne "$1" ]; then
		echo "exit status $status, not $1"
	elif [ "$lines" -ne 1 ]; then
		echo "$lines lines on standard error"
	elif ! grep -qF -- "$2" "$tmp/err"; then
		echo "nothing about '$2'"
	elif ! grep -q '^splitx' "$tmp/err"; then
		echo "it does not say who speaks"
	elif [ -s "$tmp/out" ]; then
		echo "something on standard output"
	elif [ -n "$left" ]; then
		echo "left behind:$left"
	fi
}

# The command fails as documented: this exit status, one line with this text, nothing else.
fails() { # NAME STATUS TEXT COMMAND...
	local name=$1 want=$2 text=$3 why
	shift 3
	invoke "$@"
	why=$(flaw "$want" "$text")
	if [ -z "$why" ]; then
		ok "$name"
	else
		not_ok "$name" "$why"
	fi
}

# The command succeeds with this first line on standard output, and no word on standard error.
succeeds() { # NAME PATTERN COMMAND...
	local name=$1 pattern=$2
	shift 2
	invoke "$@"
	if [ "$status" -ne 0 ]; then
		not_ok "$name" "exit status $status"
	elif [ -s "$tmp/err" ]; then
		not_ok "$name" "something on standard error"
	elif ! head -n 1 "$tmp/out" | grep -qi -- "$pattern"; then
		not_ok "$name" "the first line is not '$pattern'"
	elif [ -n "$left" ]; then
		not_ok "$name" "left behind:$left"
	else
		ok "$name"
	fi
}
