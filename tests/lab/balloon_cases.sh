#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs in the emulated host: a guest with a balloon in each mode, which leaves /tmp/out/MODE.out,
# .err and .status for tests/lab/test_balloon.sh to judge.
mkdir -p /tmp/out

# Wait, but not for ever, until COMMAND holds.
await() {
	tries=300
	until "$@" || [ "$tries" -eq 0 ]; do
		sleep 1
		tries=$((tries - 1))
	done
}

said() { # MODE TEXT
	grep -q "$2" "/tmp/out/$1.out"
}

# Bytes that the guest of PID has reported as free: the first such number is the total.
reported() {
	./splitx stat --json --interval 0.1 --count 1 "$1" 2>/dev/null |
		grep -o '"bytes_reported": *[0-9]*' | head -n 1 | grep -o '[0-9]*$'
}

# The guest of PID has reported 32 MiB more than BYTES.
has_reported() { # PID BYTES
	now=$(reported "$1")
	[ "${now:-0}" -gt $(($2 + (32 << 20))) ]
}

# The guest of PID has BYTES of memory.
has() { # PID BYTES
	./splitx balloon --json "$1" | grep -q "\"actual\": $2\$\|\"actual\": $2,"
}

run() { # MODE
	mkfifo "/tmp/$1"
	sleep 10000 >"/tmp/$1" &
	holder=$!
	./splitx run --mode "$1" --wait pause:100 --memory 320M --balloon=target=256M \
		--kernel vmlinux --initrd guest.cpio --append "console=ttyS0 quiet panic=-1 pages=16384" \
		--stats=json <"/tmp/$1" >"/tmp/out/$1.out" 2>"/tmp/out/$1.err" &
	pid=$!
	await said "$1" 'guest: sum'
	before=$(reported "$pid")
	echo go >"/tmp/$1"
	await has_reported "$pid" "${before:-0}"
	./splitx balloon --target 1G "$pid" 2>"/tmp/out/$1.refused"
	./splitx balloon --target 288M "$pid"
	await has "$pid" $((288 << 20))
	./splitx balloon --json "$pid" >"/tmp/out/$1.balloon"
	echo on >"/tmp/$1"
	status=0
	wait "$pid" || status=$?
	kill "$holder"
	echo "$status" >"/tmp/out/$1.status"
	echo "case $1: $status, $(cut -d' ' -f1 /proc/uptime) s after the start"
}

run trap
run split
