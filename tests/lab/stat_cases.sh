# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Runs in the emulated host: a guest that has read from its disk is looked at by splitx stat, which
# leaves what it says in /tmp/out/MODE.json and .txt for tests/lab/test_stat.sh to judge.
mkdir -p /tmp/out
exec </dev/null
truncate -s 4M disk.img

look() { # MODE
	./splitx run --mode "$1" --wait pause --kernel vmlinux --initrd guest.cpio --disk disk.img \
		--append "console=ttyS0 quiet panic=-1" >"/tmp/out/$1.out" 2>"/tmp/out/$1.err" &
	pid=$!
	until grep -q 'guest: reads' "/tmp/out/$1.out"; do
		kill -0 "$pid" || return 1
		sleep 1
	done
	./splitx stat "$pid" --count 1 --json >"/tmp/out/$1.json"
	./splitx stat --count 1 >"/tmp/out/$1.txt"
	kill "$pid"
	wait "$pid"
	echo "$?" >"/tmp/out/$1.status"
	./splitx stat "$pid" 2>"/tmp/out/$1.gone"
	echo "$?" >>"/tmp/out/$1.status"
}

look trap
look split
