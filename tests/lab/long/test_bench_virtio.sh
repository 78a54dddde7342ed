#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 2400
#
# In split mode, the disk and the network of an unmodified guest cost no exits: fio and iperf3 in
# Debian's kernel, by the counters of a stock KVM in the emulated AMD host. In trap mode and on QEMU,
# measured in the same run, they do: else nothing was counted.
set -euo pipefail
cd "$(dirname "$0")/../../.."

export BUILD=${BUILD:-build}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

if ! why=$(lab/lab amd --check 2>&1); then
	echo "skip - exits for each request in the emulated host: $why"
	exit 0
fi

# holds NAME COMMAND...
holds() {
	local name=$1
	shift
	if "$@"; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		failed=1
	fi
}

count() { # PATTERN -> lines of the results with it
	grep -c "$1" "$tmp/v.json"
}

# notified MODE -> of the operations with one request under way, those with an exit for each by
# their device
notified() {
	awk -F '[ :,"]+' -v mode="$1" '
		$2 == "op" { single = $3 ~ /_qd1$/ }
		$2 == "mode" { mine = $3 == mode }
		$2 == "device_exits_per_op" && single && mine && $3 >= 0.9 && $3 <= 1.1 { n++ }
		END { print n + 0 }' "$tmp/v.json"
}

if ! bench/lab.sh virtio --rounds 1 --json "$tmp/v.json" >"$tmp/log" 2>&1; then
	echo "not ok - the emulated host measures: $(tail -n 3 "$tmp/log")"
	exit 1
fi
sed 's/^/# /' "$tmp/log"
# Four kinds of requests and four of streams, each by three contestants, none left out.
holds "each operation is measured" [ "$(count '"op": ')" -eq 24 ]
for mode in trap split qemu; do
	holds "$mode takes part in each" [ "$(count "\"mode\": \"$mode\"")" -eq 8 ]
done
holds "device accesses are traced, not guessed" [ "$(count 'without tracefs')" -eq 0 ]
holds "none causes more than an exit in 100 by its device" [ "$(count '"ok": true')" -eq 8 ]
holds "trapped, each request of one at a time exits by its device" [ "$(notified trap)" -eq 2 ]
holds "so it does on QEMU, with its ioeventfds" [ "$(notified qemu)" -eq 2 ]
holds "a hundred requests or packets of each were counted" \
	[ "$(sed -n 's/.*"samples": *\([0-9]*\).*/\1/p' "$tmp/v.json" | sort -n | head -n 1)" -ge 100 ]
exit "$failed"
