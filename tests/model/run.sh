#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Checks the protocols of ipc/, and of nested VMX's line, with Spin, exhaustively; each model says in its head what it checks.
# A model that cannot fail proves nothing: so each is also given one fault after the other, and
# must find it; and nothing of it may lie unreached.
#
#   tests/model/run.sh
#
# Prints "ok - NAME" or "not ok - NAME" for each check and closes with a count. What was made and
# what was said is kept in $BUILD/model/NAME/.
# On a machine that is busy it takes its time; test-timeout: 300
set -euo pipefail
BUILD=${BUILD:-build}
[[ $BUILD == /* ]] || BUILD=$(dirname "$(realpath "$0")")/../../$BUILD
models=$(dirname "$(realpath "$0")")
out=$(realpath -m "$BUILD")/model
CC=${CC:-cc}

passed=0 failed=0
opt=-O0 depth=100000 # what a small state space needs

ok() {
	echo "ok - $1"
	passed=$((passed + 1))
}

not_ok() { # NAME WHY
	echo "not ok - $1: $2; see $out/${1// /-}/log"
	failed=$((failed + 1))
}

# verify NAME MODEL [FLAG...] : fills $out/NAME/log; fails if Spin or the compiler does
verify() {
	local dir=$out/${1// /-} model=$models/$2.pml
	shift 2
	rm -rf "$dir"
	mkdir -p "$dir"
	cd "$dir"
	# The verifier is compiled code; -DSAFETY leaves out what only liveness needs.
	{ spin -a "$@" "$model" && $CC "$opt" -w -DSAFETY -DMEMLIM=3000 -o pan pan.c &&
		./pan -m"$depth"; } >log 2>&1 </dev/null
	# It may be large, and the log has the verdict.
	rm -f pan pan.? pan.pre
}

# What Spin found wrong, as one line; nothing if nothing.
fault() { # DIR
	sed -n 's/^pan:1: \(.*\) (at depth .*/\1/p' "$out/$1/log" | tr -d '\n'
}

# holds NAME MODEL [FLAG...] : every state was looked at, and none is bad
holds() {
	local name=$1 dir=${1// /-} states
	if ! verify "$@"; then
		not_ok "$name" "the model does not build"
	elif [ -n "$(fault "$dir")" ]; then
		not_ok "$name" "$(fault "$dir")"
	elif ! grep -q 'errors: 0$' "$out/$dir/log" ||
		grep -qE 'Search not completed|search depth too small' "$out/$dir/log"; then
		not_ok "$name" "the search did not come to its end"
	else
		states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$out/$dir/log")
		ok "$name ($states states)"
	fi
}

# reached NAME : of what the check NAME ran nothing was never executed
reached() {
	local dir=${1// /-}
	if grep -E '\.pml:[0-9]+, state' "$out/$dir/log" | grep -vq -- '"-end-"'; then
		not_ok "$1" "some of the model is never executed"
	else
		ok "$1, all of it"
	fi
}

# catches WHAT MUTANT MODEL [FLAG...] : with this fault the model finds WHAT
catches() {
	local what=$1 mutant=$2 model=$3 name="$3 finds ${2,,}"
	shift 3
	if ! verify "$name" "$model" "-DMUTANT=$mutant" "$@"; then
		not_ok "$name" "the model does not build"
	elif [[ $(fault "${name// /-}") == "$what"* ]]; then
		ok "$name"
	else
		not_ok "$name" "it goes unnoticed"
	fi
}

for tool in spin "$CC"; do
	if ! command -v "$tool" >/dev/null; then
		echo "skip - models: '$tool' is not installed"
		echo "0 passed, 0 failed, 1 skipped"
		exit 0
	fi
done

holds "ring of 1" ring -DSIZE=1
holds "ring of 2" ring -DSIZE=2
opt=-O2 depth=2000000 holds "ring of 4" ring -DSIZE=4
holds "ring of 2, lazy credit" ring -DSIZE=2 -DLAZY=1
holds "ring of 1, closed" ring -DSIZE=1 -DCLOSE
holds "ring of 2, closed" ring -DSIZE=2 -DLAZY=1 -DCLOSE
reached "ring of 2, closed"
wrong="assertion violated"
stuck="invalid end state"
for mutant in PUBLISH_BEFORE_PAYLOAD REPLY_BEFORE_PAYLOAD ROOM_OFF_BY_ONE CREDIT_BEFORE_READS \
	CREDIT_BEFORE_REPLY REPLY_OWES_FOR_EVER LEARN_ANYTHING BURST_FORWARD FORMAT_ZERO; do
	catches "$wrong" $mutant ring -DSIZE=2 -DLAZY=1
done
catches "$wrong" CLOSE_BEFORE_CREDIT ring -DSIZE=2 -DLAZY=1 -DCLOSE
catches "$stuck" IDLE_GIVES_NO_CREDIT ring -DSIZE=2 -DLAZY=1

holds "kick, ring of 1" kick -DSIZE=1
holds "kick, ring of 2" kick -DSIZE=2
holds "kick, ring of 4" kick -DSIZE=4 -DLAZY=1
reached "kick, ring of 4"
for mutant in NO_PRODUCER_FENCE NO_CONSUMER_FENCE NO_SECOND_LOOK ARM_AFTER_LOOK SLEEP_IN_DEBT \
	FORGETFUL_DOORBELL KICK_BEFORE_PUBLISH; do
	catches "$stuck" $mutant kick -DSIZE=2 -DLAZY=1
done

holds "wait" wait
reached "wait"
for mutant in NO_WAKER_FENCE NO_SLEEPER_FENCE NO_SECOND_LOOK SLEEP_UNCOMPARED WAKE_UNCLEARED \
	WAKE_BEFORE_WORK; do
	catches "$stuck" $mutant wait
done

holds "mail" mail
reached "mail"
catches "$wrong" RETURN_WHEN_DONE mail
catches "$wrong" RELEASE_BEFORE_WAKE mail
catches "$stuck" NO_OWNER_FENCE mail

holds "line" line
reached "line"
for mutant in REPLY_BEFORE_POSITION NO_EXIT_FENCE NO_PATIENCE; do
	catches "$stuck" $mutant line
done

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
