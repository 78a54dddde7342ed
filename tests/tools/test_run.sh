#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The test runner counts what it should: above all, what goes wrong.
set -euo pipefail

cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

# A tree with one test "program", a shell script in the place of a built one.
mkdir -p "$tmp/tests/unit" "$tmp/build/tests/unit"
cp tests/run.sh "$tmp/tests/"
program=$tmp/build/tests/unit/test_it

# expect NAME STATUS LAST-LINE TEXT : run the program on standard input; TEXT is in the output
expect() {
	local out last status=0
	{ echo '#!/bin/sh' && cat; } >"$program"
	chmod +x "$program"
	out=$(BUILD=build MATCH='' TEST_TIMEOUT=2 "$tmp/tests/run.sh" unit 2>&1) || status=$?
	last=${out##*$'\n'}
	if [ "$status" -eq "$2" ] && [ "$last" = "$3" ] && [[ $out == *"$4"* ]]; then
		echo "ok - $1"
	else
		echo "not ok - $1: exit status $status, closed with: $last"
		printf '%s\n' "$out" | sed 's/^/# /'
		bad=1
	fi
}

expect "a tree without tests fails" 1 "0 passed, 0 failed, 0 skipped" "no test ran" <<'EOF'
EOF
touch "$tmp/tests/unit/test_it.c"

expect "cases pass, fail and are skipped, in cmocka's words" 1 "1 passed, 2 failed, 1 skipped" FAIL <<'EOF'
printf '1..4\nguest says ok 1 - a\nnot ok 2 - b\n# ok - group\nnot ok 3 # SKIP c\n'
echo 'not ok 4 - d Could not run test: Test setup failed'
exit 2
EOF
expect "and in a script's" 1 "2 passed, 1 failed, 1 skipped" FAIL <<'EOF'
printf 'ok - a\nok - b\nnot ok - c\nskip - d\n'; exit 1
EOF
expect "all pass" 0 "2 passed, 0 failed, 0 skipped" "  ok " <<'EOF'
printf '1..2\nok 1 - a\nok 2 - b\n'
EOF
expect "nothing but skipped cases is no success" 1 "0 passed, 0 failed, 1 skipped" "  skip " <<'EOF'
echo 'skip - a'
EOF
expect "a failed case counts though the program succeeds" 1 "1 passed, 1 failed, 0 skipped" FAIL <<'EOF'
printf 'ok - a\nnot ok - b\n'
EOF
expect "an exit status alone is a failure" 1 "1 passed, 1 failed, 0 skipped" "exit status 7" <<'EOF'
echo 'ok - a'; exit 7
EOF
expect "a crash is a failure" 1 "1 passed, 1 failed, 0 skipped" "signal SEGV" <<'EOF'
echo 'ok - a'; kill -SEGV $$
EOF
expect "a hang is a failure" 1 "1 passed, 1 failed, 0 skipped" "stopped after 2 s" <<'EOF'
echo 'ok - a'; exec sleep 30
EOF
expect "cases that are left out are a failure" 1 "1 passed, 1 failed, 0 skipped" "1 of 3" <<'EOF'
printf '1..3\nok 1 - a\n'
EOF
expect "a program that tells nothing is a failure" 1 "0 passed, 1 failed, 0 skipped" "no case" <<'EOF'
true
EOF
expect "the log of a failure is shown" 1 "0 passed, 1 failed, 0 skipped" "because of this" <<'EOF'
echo 'not ok - a'; echo 'because of this'
EOF
chmod -x "$program" && rm "$program"
out=$(BUILD=build MATCH='' "$tmp/tests/run.sh" unit 2>&1) && status=0 || status=$?
if [ "$status" -eq 1 ] && [ "${out##*$'\n'}" = "0 passed, 1 failed, 0 skipped" ]; then
	echo "ok - a program that was not built is a failure"
else
	echo "not ok - a program that was not built is a failure: $status, $out"
	bad=1
fi
exit $bad
