#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 1800
#
# Debian's kernel on a virtio console, on a terminal, in both modes: it speaks and hears, from its
# first message on; it knows its terminal's size, and sees when that changes; nothing of much is
# lost; and Ctrl-A x stops it.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

need_host amd "a virtio console in the emulated host"

lab/guestfs.sh --modules virtio_pci,virtio_console tests/lab/console_job.sh "$tmp/guest.cpio"
in_host amd --timeout 1700 --file "$tmp/guest.cpio" --file "$(command -v script)" \
	--file tests/lab/console_cases.sh -- sh console_cases.sh

# all_lines NAME : each of them is there, in order
all_lines() {
	tr -d '\r' <"$tmp/out/$1.out" | sed -n '/^guest: many lines$/,/^guest: end$/p' |
		cmp - <(echo 'guest: many lines' && seq 10000 && echo 'guest: end')
}

# says NAME LINE... : the guest said each of them
says() {
	local name=$1 line
	shift
	for line; do
		holds "$name: $line" [ "$(said "$name" "^$line\$")" -gt 0 ]
	done
}

judge trap 130
says trap '.*Linux version .*' 'guest: console hvc0' 'guest: read hello over there' \
	'guest: first size 33 90' 'guest: size 43 132' '.*guest: by the kernel'
holds "trap: all lines are there" all_lines trap
judge split 0
says split 'guest: console hvc0' 'guest: read hello over there' \
	'guest: first size 33 90' 'guest: size 50 90'
holds "split: all lines are there" all_lines split
