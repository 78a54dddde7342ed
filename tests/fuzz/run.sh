#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs one fuzzer: first over its seeds in tests/fuzz/corpus/NAME, then on what it makes of them.
#
#   tests/fuzz/run.sh NAME
#
# With FUZZ_SECONDS it runs that long and keeps what it learns in $BUILD/fuzz/corpus/NAME for the
# next time. Without, it runs for 3 seconds from a fixed start and keeps nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."

name=$1
out=${BUILD:-build}/fuzz
learnt=$out/corpus/$name
options=(-max_total_time="${FUZZ_SECONDS:-3}" -timeout=10 -rss_limit_mb=4096
	-artifact_prefix="$out/$name-" -print_final_stats=1)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ -z "${FUZZ_SECONDS-}" ]; then
	learnt=$tmp/corpus
	options+=(-seed=1)
fi
mkdir -p "$learnt"
seeds=()
[ ! -d "tests/fuzz/corpus/$name" ] || seeds=("tests/fuzz/corpus/$name")

if "$out/$name" "${options[@]}" "$learnt" "${seeds[@]}" 2>&1 | tee "$tmp/log"; then
	echo "ok - $name, $(sed -n 's/^stat::number_of_executed_units: *//p' "$tmp/log") inputs"
else
	echo "not ok - $name; an input that shows it is named above, in $out/"
	exit 1
fi
