#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash disable=SC2086 # options are several words
#
# Runs in the emulated host for tests/lab/test_net.sh.
# shellcheck source=tests/lab/boot.sh
. ./boot.sh

mkdir www
mv file www/file
httpd -p 8000 -h www
# An input without end: nc ends with its input, and would not wait for all.
mkfifo open
sleep 100000 >open &

tap_up() { # PID
	until ip addr add 192.168.77.1/24 dev tap0 2>/dev/null || ! kill -0 "$1"; do
		sleep 1
	done
	ip link set tap0 up
}

network() { # NAME MODE...
	local name=$1 guest
	shift
	boot "$name" "" "$@" --vcpus 2 --memory 256M --net user,hostfwd=tcp:2222-22 \
		--net tap=tap0,queues=2 --rng --kernel vmlinux --initrd guest.cpio &
	guest=$!
	tap_up "$guest"
	nc -l -p 9000 <open >/tmp/came &
	heard "$guest" "$name" 'guest: listens'
	nc 127.0.0.1 2222 <www/file
	wait "$guest"
	! cmp /tmp/came www/file || echo same >"/tmp/out/$name.came"
}

network net-trap --mode trap
network net-split $split
