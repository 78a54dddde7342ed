#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1500
#
# Linux's own driver and virtio-balloon in the emulated AMD host, in both modes: the guest comes to
# its target to the page, and what it frees goes back to the host.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

need_host amd "balloons in the emulated host"

lab/guestfs.sh --modules virtio_pci,virtio_balloon tests/lab/balloon_guest.sh "$tmp/guest.cpio"
in_host amd --timeout 1300 --memory 1536 --file "$tmp/guest.cpio" \
	--file tests/lab/balloon_cases.sh -- sh balloon_cases.sh

# count MODE NAME : what the balloon counted
count() {
	sed -n "s/^ *\"$2\": \([0-9]*\),*\$/\1/p" "$tmp/out/$1.err"
}

# says MODE KEY : what splitx balloon printed
says() {
	sed -n "s/^ *\"$2\": \([0-9]*\),*\$/\1/p" "$tmp/out/$1.balloon"
}

pages=16384 fewer=8192
zeros=7f614da9329cd3aebf59b91aadc30bf0 # 64 MiB of them, by md5sum
for mode in trap split; do
	judge "$mode" 0 "guest: balloon $pages" "guest: sum $zeros" \
		"guest: read on, balloon $fewer"
	in=$(count "$mode" inflated) out=$(count "$mode" deflated)
	holds "$mode: as many pages are in the balloon as are wanted" [ $((in - out)) -eq "$fewer" ]
	holds "$mode: none came twice" [ "$(count "$mode" repeated)" -eq 0 ]
	holds "$mode: the host took all of them" [ "$(count "$mode" kept)" -eq 0 ]
	holds "$mode: a target beyond memory is refused" \
		grep -q "at most the guest's memory, 320 MiB" "$tmp/out/$mode.refused"
	holds "$mode: the guest has what it is to have" [ "$(says "$mode" actual)" -eq $((288 << 20)) ]
	holds "$mode: it says how much is free" [ "$(says "$mode" free)" -gt 0 ]
	reported=$(count "$mode" bytes_reported)
	holds "$mode: what was freed is reported" [ "$reported" -gt $((32 << 20)) ]
	holds "$mode: all that was given went back" \
		[ "$(count "$mode" bytes_returned)" -eq $((reported + 4096 * in)) ]
done
