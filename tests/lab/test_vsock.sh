#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 2400
#
# vsock between Debian's kernel as a guest and programs of the emulated AMD host, in both modes:
# streams there and back, several at once, what is refused, and a guest that resets.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

need_host amd "vsock in the emulated host"
${CC:-cc} -O2 -Wall -Wextra -Werror -static -o "$tmp/vsock_peer" tests/lab/vsock_peer.c
lab/guestfs.sh --modules virtio_pci,virtio_blk,vmw_vsock_virtio_transport \
	--file "$tmp/vsock_peer" tests/lab/vsock_job.sh "$tmp/guest.cpio"

in_host amd --timeout 2200 --file "$tmp/guest.cpio" --file "$tmp/vsock_peer" \
	--file tests/lab/vsock_cases.sh -- sh vsock_cases.sh

bytes=3000001

# whole CASE FILE : this peer of the host had all bytes back, and their sum is the guest's
whole() {
	local sum
	sum=$(sed -n "s/^peer: asked $bytes bytes, got $bytes, sum //p" "$tmp/out/$1.$2")
	[ -n "$sum" ] && grep -q "peer: echoed $bytes bytes, sum $sum, whole" "$tmp/out/$1.out"
}

for mode in trap split; do
	name=vsock-$mode
	judge $name 0 'guest: listens' "guest: peer: asked $bytes bytes, got $bytes, sum [0-9a-f]*" \
		'guest: vsock:2:98: peer: Connection reset by peer' \
		'guest: vsock:2:4294967294: peer: Connection reset by peer' \
		'guest: vsock:77:99: peer: Connection reset by peer'
	for i in 1 2 3 4; do
		holds "$name: stream $i to the guest comes back whole" whole $name ask$i
	done
	holds "$name: the guest echoed four streams" [ "$(said $name '^peer: echoed.*whole$')" -eq 4 ]
	holds "$name: the guest's stream came whole to the host" \
		grep -q "^peer: echoed $bytes bytes, .*whole" "$tmp/out/$name.echo"
	holds "$name: a port where nobody listens is refused" \
		grep -q '^peer: Connection refused' "$tmp/out/$name.refused"
	holds "$name: the socket is removed" [ -e "$tmp/out/$name.file" ]
done
judge vsock-again 0 'guest: first' 'guest: listens' 'guest: peer: asked 1000 bytes, got 1000, .*'
holds "a reset ends connections" grep -q '^peer: held, and it ended' "$tmp/out/vsock-again.hold"
holds "after a reset the guest is reached again" whole vsock-again ask1
