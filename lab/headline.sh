#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What `make run` shows: a guest in both modes, and what each kind of exit costs. On this machine's
# KVM or, where it has none that can be used, on that of the emulated AMD host.
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD=${BUILD:-build}
NO_KVM=69 NO_PERMISSION=77 # cli/status.h

status=0
"$BUILD/splitx" run --mode trap "$BUILD/guests/hello" || status=$?
case $status in
0)
	"$BUILD/splitx" run --mode split "$BUILD/guests/hello"
	exec "$BUILD/splitx" bench exits
	;;
"$NO_KVM" | "$NO_PERMISSION") ;;
*) exit "$status" ;;
esac

cat <<'EOT'
This machine's KVM cannot be used, so all runs in lab-amd, an emulated host with a KVM of its own.
There, exits are counted exactly, and times mean nothing: docs/lab.md.
EOT
lab/setup.sh lab
export BUILD
exec lab/lab amd --timeout 1800 --file "$BUILD/splitx" --file "$BUILD/guests" -- sh -ec '
	splitx run --mode trap guests/hello
	splitx run --mode split guests/hello
	splitx bench exits --rounds 1'
