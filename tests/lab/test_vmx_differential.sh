#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 900
#
# The VMX engine says of each case of tests/differential what Bochs says, an implementation of VMX
# that nobody here wrote; where it does not, tests/differential/differences.txt says why.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
CASES=500 # at least; and half of them are entries that are refused

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

ok() {
	echo "ok - $*"
}

not_ok() {
	echo "not ok - $*"
	failed=$((failed + 1))
}

if ! why=$(lab/lab intel --check 2>&1); then
	echo "skip - the VMX engine beside Bochs: $why"
	exit 0
fi

lab/lab intel --smp 1 --memory 256 --timeout 600 --bare "$BUILD/tests/differential/vmx_bare" \
	>"$tmp/bochs" || not_ok "the cases run on Bochs: exit status $?"
"$BUILD/tests/differential/vmx_engine" >"$tmp/engine" ||
	not_ok "the cases run on the engine: exit status $?"

# read_results FILE ARRAY: what came of each case, by its name; each has one line
read_results() {
	local -n results=$2
	local line name

	while IFS= read -r line; do
		name=${line%%: *}
		[ -z "${results[$name]-}" ] || not_ok "$name is the name of one case"
		results["$name"]=${line#*: }
	done < <(tr -d '\r' <"$1")
}

declare -A bochs=() engine=() used=()
read_results "$tmp/bochs" bochs
read_results "$tmp/engine" engine

patterns=() says_bochs=() says_engine=()
while IFS='|' read -r pattern by_bochs by_engine _ why; do
	[[ $pattern != \#* && -n $pattern ]] || continue
	[ -n "$why" ] || not_ok "the line of $pattern says who is right and why"
	patterns+=("${pattern% }")
	says_bochs+=("$(xargs <<<"$by_bochs")")
	says_engine+=("$(xargs <<<"$by_engine")")
done <tests/differential/differences.txt

# explained CASE: is there a line for what the two say of it?
explained() {
	local i
	# shellcheck disable=SC2053 # they are patterns
	for i in "${!patterns[@]}"; do
		if [[ $1 == ${patterns[i]} && ${bochs[$1]} == ${says_bochs[i]} &&
			${engine[$1]} == ${says_engine[i]} ]]; then
			used[i]=yes
			return 0
		fi
	done
	return 1
}

cases=0 refused=0 alike=0 differ=0
for name in "${!bochs[@]}"; do
	[[ $name == *+* ]] || cases=$((cases + 1)) # NAME+MORE is one more line of a case
	case ${bochs[$name]} in
	'fail-valid 7'* | 'fail-valid 8'* | 'exit 8000002'[12]*) refused=$((refused + 1)) ;;
	esac
	if [ -z "${engine[$name]-}" ]; then
		not_ok "$name: the engine says nothing"
	elif [ "${bochs[$name]}" = "${engine[$name]}" ]; then
		alike=$((alike + 1))
	elif explained "$name"; then
		differ=$((differ + 1))
	else
		not_ok "$name: Bochs '${bochs[$name]}', engine '${engine[$name]}'"
	fi
done
for name in "${!engine[@]}"; do
	[ -n "${bochs[$name]-}" ] || not_ok "$name: Bochs says nothing"
done
for i in "${!patterns[@]}"; do
	[ -n "${used[i]-}" ] || not_ok "${patterns[i]} no longer differs as its line says"
done

if [ $cases -lt $CASES ] || [ $((2 * refused)) -lt $cases ]; then
	not_ok "there are $CASES cases or more, half of them refused entries: $cases, $refused"
fi
[ $failed -gt 0 ] || ok "$cases cases on Bochs and the engine, $refused of them refused entries:" \
	"$alike lines are alike, $differ differ as explained"
[ $failed -eq 0 ]
