#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A quick check of an emulated host: what its KVM offers, that a guest runs, that a file and an
# exit status come back. Everything else is in tests/lab.
#
#   lab/check.sh amd|intel
set -euo pipefail
cd "$(dirname "$0")/.."

host=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
head -c 4096 /dev/urandom >"$tmp/there"

status=0
lab/lab "$host" --file "$tmp/there" --result /lab/there:"$tmp/back" -- \
	sh -c 'kvmcheck && exit 42' || status=$?
if [ "$status" -ne 42 ]; then
	echo "lab-$host: the exit status is $status; 42 means that all is well" >&2
	exit 1
fi
cmp "$tmp/there" "$tmp/back"
echo "lab-$host: a guest ran, a file and an exit status came back, after $SECONDS s"
