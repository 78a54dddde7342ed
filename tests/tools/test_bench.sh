#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A splitx that was built without DPDK measures all but the peer, and says so.
set -euo pipefail

cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if [ ! -w /dev/kvm ] || [ "$(nproc)" -lt 2 ]; then
	echo "skip - bench exits without its peer: it needs /dev/kvm and two CPUs"
	exit 0
fi
cp -r "$SX_BUILD_DIR/splitx" "$SX_BUILD_DIR/guests" "$tmp"
if "$tmp/splitx" bench exits --rounds 1 --json "$tmp/exits.json" >"$tmp/out" 2>&1 &&
	grep -q 'rte_ring left out' "$tmp/out" && grep -q '"peers": \[\]' "$tmp/exits.json" &&
	[ "$(grep -c '"measured": null' "$tmp/exits.json")" -eq 2 ]; then
	echo "ok - bench exits without its peer"
else
	echo "not ok - bench exits without its peer: $(tail -n 3 "$tmp/out")"
	exit 1
fi
