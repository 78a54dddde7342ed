#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash disable=SC2086 # options are several words
#
# Runs in the emulated host for tests/lab/test_vsock.sh.
# shellcheck source=tests/lab/boot.sh
. ./boot.sh

bytes=3000001 # no multiple of anything
count=4

# talk NAME : four programs connect to the guest, at once
talk() {
	local i peers=''
	for i in 1 2 3 4; do
		./vsock_peer ask "unix:/tmp/$1.sock:52" $bytes >"/tmp/out/$1.ask$i" 2>&1 &
		peers="$peers $!"
	done
	./vsock_peer refused "unix:/tmp/$1.sock:53" >"/tmp/out/$1.refused" 2>&1
	wait $peers
}

streams() { # NAME MODE...
	local name=$1 guest
	shift
	./vsock_peer echo "unix:/tmp/$name.sock_99" 1 >"/tmp/out/$name.echo" 2>&1 &
	boot "$name" "bytes=$bytes count=$count" "$@" --vcpus 2 --memory 256M \
		--vsock "/tmp/$name.sock,cid=42" --kernel vmlinux --initrd guest.cpio &
	guest=$!
	heard $guest "$name" 'guest: listens' && talk "$name"
	wait $guest
	[ -e "/tmp/$name.sock" ] || echo gone >"/tmp/out/$name.file"
}

streams vsock-trap --mode trap
streams vsock-split $split

# A guest that resets ends what was connected to it, and can be reached again.
name=vsock-again
truncate -s 1M again.img
./vsock_peer echo "unix:/tmp/$name.sock_99" 1 >/dev/null 2>&1 &
boot $name "bytes=1000 count=1 again=yes" $split --reboot restart --disk again.img \
	--memory 256M --vsock /tmp/$name.sock --kernel vmlinux --initrd guest.cpio &
guest=$!
heard $guest $name 'guest: first' &&
	./vsock_peer hold "unix:/tmp/$name.sock:52" >"/tmp/out/$name.hold" 2>&1
heard $guest $name 'guest: listens' &&
	./vsock_peer ask "unix:/tmp/$name.sock:52" $bytes >"/tmp/out/$name.ask1" 2>&1
wait $guest
