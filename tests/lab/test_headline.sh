#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1500
#
# What `make run` shows where no KVM can be used: it says so, and runs in the emulated AMD host.
# What else goes wrong is no reason to.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

need_host amd "the headline without KVM"

status=0
mkdir "$tmp/empty"
install "$BUILD/splitx" "$tmp/empty/splitx"
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
	BUILD=$tmp/empty lab/headline.sh >"$tmp/said" 2>&1 || status=$?
	holds "a guest that is not there is told of" [ "$status" -eq 66 ]
	holds "and is looked for nowhere else" [ "$(grep -c lab-amd "$tmp/said")" -eq 0 ]
else
	echo "skip - a guest that is not there: there is no /dev/kvm that can be used"
fi

# The null device is no KVM. Where there is no file to put it over, there is no KVM either.
status=0
if [ ! -e /dev/kvm ]; then
	lab/headline.sh >"$tmp/said" 2>&1 || status=$?
elif unshare -m true 2>/dev/null; then
	unshare -m sh -c 'mount --bind /dev/null /dev/kvm && exec lab/headline.sh' >"$tmp/said" 2>&1 ||
		status=$?
else
	echo "skip - no usable KVM: this process may have no mount namespace of its own"
	exit 0
fi
sed 's/^/# /' "$tmp/said"
holds "no usable KVM: the emulated host does it" [ "$status" -eq 0 ]
holds "it is said" grep -q "^This machine's KVM cannot be used, .* lab-amd" "$tmp/said"
holds "a guest runs in trap mode" grep -q '^hello .* exits handled by its own thread' "$tmp/said"
holds "and in split mode" grep -q '^hello .* exits handled by a sidecore' "$tmp/said"

# Exact where a doorbell exits, and next to none where it does not.
few_exits() {
	awk '$1 == "doorbell" { here = 1; trapped = $(NF - 1) }
		here && /shared page/ { polled = $(NF - 4); exit }
		END { exit !(trapped >= 1 && trapped < 1.5 && polled < 0.1) }' "$tmp/said"
}
holds "exits are counted there" few_exits
