#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# splitx balloon: what it does not do. Linux's driver has its balloon in tests/lab/test_balloon.sh.
set -euo pipefail
# shellcheck source=tests/cli/common.sh
. "$(dirname "$0")/common.sh"

export XDG_RUNTIME_DIR=$tmp/run
mkdir -m 700 "$XDG_RUNTIME_DIR"

fails "a process that is no run" 66 "is no splitx run" "$SPLITX" balloon $$
fails "two PIDs" 64 "give one PID only" "$SPLITX" balloon 1 2
fails "a PID of letters" 64 "PID wants a number" "$SPLITX" balloon one
fails "no size" 64 "--target wants a size" "$SPLITX" balloon --target much 1
fails "a target without a size" 64 "needs a value" "$SPLITX" balloon --target
fails "another option" 64 "is no option" "$SPLITX" balloon --inflate 1

if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
	skip "a guest without a balloon" "there is no /dev/kvm that can be used"
	finish
	exit
fi
"$SPLITX" run --wait pause:50 --watchdog 0 "$GUESTS/spin" >/dev/null &
guest=$!
trap 'kill "$guest" 2>/dev/null || true; rm -rf "$tmp"' EXIT
for _ in {1..300}; do
	[ ! -S "$XDG_RUNTIME_DIR/splitx/$guest.sock" ] || break
	sleep 0.1
done
fails "a guest without a balloon" 69 "start it with --balloon" "$SPLITX" balloon "$guest"
fails "a target for one without" 69 "start it with --balloon" "$SPLITX" balloon --target 8M "$guest"
finish
