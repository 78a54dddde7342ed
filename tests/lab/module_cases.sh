#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Runs in the emulated host for tests/lab/test_host_module.sh: module_cases.sh ROUNDS

rounds=$1

holds() { # NAME COMMAND...
	name=$1
	shift
	if "$@"; then echo "ok - $name"; else echo "not ok - $name"; fi
}

refused() { # COMMAND...
	! "$@" 2>/dev/null
}

# begin CASE WORD : in the background, until it has said WORD; leaves $pid
begin() {
	host_module "$1" >"/tmp/$1" &
	pid=$!
	until grep -q "$2" "/tmp/$1" || ! kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
}

# A file of a process that was killed may be closed a moment later.
unload() {
	for _ in $(seq 100); do
		! rmmod splitx_host 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}

host_module absent
insmod splitx_host.ko
holds "only root may use the device" [ "$(stat -c '%a %u' /dev/splitx-host)" = "600 0" ]
host_module exits
host_module refusals
host_module storm

begin hold held
holds "the module stays while a vCPU is marked" refused rmmod splitx_host
kill -9 "$pid"
wait "$pid"
holds "and goes when the marked vCPU's process was killed" unload
host_module absent

begin run running
i=0
while [ "$i" -lt "$rounds" ] && insmod splitx_host.ko && host_module once >/tmp/once &&
	! grep "^not ok" /tmp/once && rmmod splitx_host; do
	i=$((i + 1))
done
kill "$pid"
wait "$pid"
sed '/^running/d' /tmp/run
holds "loaded, used and unloaded $rounds times" [ "$i" -eq "$rounds" ]
dmesg | grep -E 'WARNING|BUG|Oops|Call Trace|general protection|splitx_host: [^l]' && exit 1
echo "ok - the kernel says nothing"
