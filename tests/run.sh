#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs test programs one after the other, a line for each, and closes with the line
# "N passed, N failed, N skipped". `make test` builds what this runs, then calls it.
#
#   tests/run.sh [SUITE...]      unit integration model scripts lint asan tsan fuzz lab lab-long
#
# All but lab-long, which takes longer than all others together, run when none is named.
#
# A program tells its cases in its output: cmocka's TAP, or from a script the lines
# "ok - NAME", "not ok - NAME" and "skip - NAME". A program that dies, hangs, leaves cases out or
# tells of none counts as one failed case more. Its output is kept in $BUILD/test-logs.
# One that needs more than TEST_TIMEOUT seconds says "test-timeout: SECONDS" in its source.
#
# Environment: BUILD, TEST_TIMEOUT, TSAN_TESTS, MATCH (only tests with this in their name),
# FUZZ_SECONDS (unset: a short, repeatable run of each fuzzer).
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD=${BUILD:-build}
TEST_TIMEOUT=${TEST_TIMEOUT:-120}
LOGS=$BUILD/test-logs
# A script that calls make must not get this make's job server and options.
unset MAKEFLAGS MFLAGS MAKELEVEL

passed=0 failed=0 skipped=0 kvm_ran=0 kvm_skipped=0
failures=() # names of programs
on_terminal=
[ ! -t 1 ] || on_terminal=yes

export CMOCKA_MESSAGE_OUTPUT=TAP
export UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS-halt_on_error=1}

# Sanitizers of older compilers do not start when the kernel scatters mappings widely.
fixed_layout=()
! setarch -R true 2>/dev/null || fixed_layout=(setarch -R)

# Prints "PASSED FAILED SKIPPED PLANNED" for a log.
count_cases() {
	awk '
	/^1\.\.[0-9]+$/                 { planned += substr($0, 4) }
	/^skip - |ok [0-9]+ # SKIP /    { skipped++; next }
	/^not ok - |not ok [0-9]+ - /   { failed++; next }
	/^ok - |ok [0-9]+ - /           { passed++ }
	END { print passed + 0, failed + 0, skipped + 0, planned + 0 }' "$1"
}

# One sentence for what is wrong with a run beyond the cases it reported; nothing if all is well.
verdict() { # STATUS TIMEOUT PASSED FAILED SKIPPED PLANNED
	local told=$(($3 + $4 + $5))

	if [ "$1" -eq 124 ] || [ "$1" -eq 137 ]; then
		echo "stopped after $2 s"
	elif [ "$1" -gt 128 ]; then
		echo "died of signal $(kill -l $(($1 - 128)) 2>/dev/null || echo $(($1 - 128)))"
	elif [ "$1" -ne 0 ] && [ "$4" -eq 0 ]; then
		echo "exit status $1"
	elif [ "$told" -eq 0 ]; then
		echo "told of no case"
	elif [ "$told" -lt "$6" ] && [ "$4" -eq 0 ]; then
		echo "told of $told of $6 cases"
	fi
}

# Run one program, count its cases and print its line.
run() { # SUITE NAME SOURCE COMMAND...
	local suite=$1 name=$2 source=$3 label log limit status=0 started p f s planned wrong text took
	shift 3
	[[ $name == *"${MATCH-}"* ]] || return 0
	label=$suite/$name
	log=$LOGS/${label//\//-}.log
	limit=$(sed -n 's/.*test-timeout: *\([0-9]\+\).*/\1/p;t end;20q;b;:end;q' "$source" 2>/dev/null)
	limit=${limit:-$TEST_TIMEOUT}

	[ -z "$on_terminal" ] || printf '  ...   %s\r' "$label"
	started=${EPOCHREALTIME/[.,]/}
	# In the background, so that our trap acts at once; there SIGINT would come in ignored.
	env --default-signal=INT timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null &
	running=$!
	# The braces keep the shell's own word on a killed program from the terminal.
	{ wait "$running" || status=$?; } 2>/dev/null
	running=
	took=$(((${EPOCHREALTIME/[.,]/} - started) / 10000))

	read -r p f s planned < <(count_cases "$log")
	wrong=$(verdict "$status" "$limit" "$p" "$f" "$s" "$planned")
	[ -z "$wrong" ] || f=$((f + 1))
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	case $suite in
	*integration) kvm_ran=$((kvm_ran + p + f)) kvm_skipped=$((kvm_skipped + s)) ;;
	esac

	text="$p passed"
	[ "$f" -eq 0 ] || text+=", $f failed"
	[ "$s" -eq 0 ] || text+=", $s skipped"
	[ -z "$wrong" ] || text+=" ($wrong)"
	status=ok
	[ "$((p + f))" -gt 0 ] || status=skip
	if [ "$f" -gt 0 ]; then
		status=FAIL
		failures+=("$label")
	fi
	printf '  %-5s %-44s %4d.%02d s  %s\n' "$status" "$label" $((took / 100)) $((took % 100)) "$text"
}

# The cmocka programs of one folder, from the build they were made in.
run_programs() { # SUITE BUILD-DIR SOURCE...
	local suite=$1 dir=$2 source bin
	shift 2
	for source; do
		[ -e "$source" ] || continue
		bin=$dir/${source%.c}
		SX_BUILD_DIR=$(realpath "$dir") run "$suite" "$(basename "$bin")" "$source" \
			"${wrapper[@]}" "$bin"
	done
}

suite_unit() { run_programs unit "$BUILD" tests/unit/test_*.c; }
suite_integration() { run_programs integration "$BUILD" tests/integration/test_*.c; }

suite_asan() {
	local wrapper=("${fixed_layout[@]}")
	run_programs asan/unit "$BUILD/asan" tests/unit/test_*.c
	run_programs asan/integration "$BUILD/asan" tests/integration/test_*.c
}

suite_tsan() {
	local wrapper=("${fixed_layout[@]}") name
	for name in ${TSAN_TESTS-}; do
		run_programs tsan "$BUILD/tsan" "tests/unit/$name.c"
	done
}

suite_model() {
	[ -z "$(find tests/model -name '*.pml' -print -quit 2>/dev/null)" ] ||
		run model models tests/model/run.sh tests/model/run.sh
}

suite_scripts() {
	local script
	for script in tests/*/test_*.sh; do
		[[ ! -e $script || $script == tests/lab/* ]] ||
			run scripts "$(basename "$script" .sh)" "$script" "$script"
	done
}

run_lab() { # SUITE SCRIPT...
	local suite=$1 script
	shift
	for script; do
		[ ! -e "$script" ] || run "$suite" "$(basename "$script" .sh)" "$script" "$script"
	done
}

suite_lab() { run_lab lab tests/lab/test_*.sh; }
suite_lab-long() { run_lab lab-long tests/lab/long/test_*.sh; }

suite_lint() {
	local check
	for check in headers rooms text; do
		run lint "$check" "tests/lint/$check.sh" "tests/lint/$check.sh"
	done
}

suite_fuzz() {
	local source
	for source in tests/fuzz/fuzz_*.c; do
		[ -e "$source" ] || continue
		TEST_TIMEOUT=$((TEST_TIMEOUT + ${FUZZ_SECONDS:-0})) run fuzz "$(basename "$source" .c)" \
			"$source" "${fixed_layout[@]}" tests/fuzz/run.sh "$(basename "$source" .c)"
	done
}

tell_failures() {
	local label log
	for label in "${failures[@]}"; do
		log=$LOGS/${label//\//-}.log
		printf '\n--- %s: the end of %s\n' "$label" "$log"
		tail -n 60 "$log"
	done
}

tell_kvm() {
	[ $((kvm_ran + kvm_skipped)) -gt 0 ] || return 0
	if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
		echo "KVM: $kvm_ran cases ran with /dev/kvm, $kvm_skipped were skipped"
	else
		echo "KVM: /dev/kvm cannot be opened here; $kvm_ran cases need none, $kvm_skipped were skipped"
	fi
}

suites=("$@")
[ $# -gt 0 ] || suites=(unit integration model scripts lint asan tsan fuzz lab)
for suite in "${suites[@]}"; do
	declare -F "suite_$suite" >/dev/null || {
		echo "tests/run.sh: there is no suite '$suite'" >&2
		exit 2
	}
done

rm -rf "$LOGS"
mkdir -p "$LOGS"
running=
trap '[ -z "$running" ] || kill "$running"; exit 130' INT TERM
wrapper=()
SX_BUILD_DIR=$(realpath "$BUILD")
export BUILD SX_BUILD_DIR
for suite in "${suites[@]}"; do
	"suite_$suite"
done

tell_failures
echo
tell_kvm
[ $((passed + failed)) -gt 0 ] || echo "no test ran"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
