# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# What a guest of tests/lab/test_console.sh does on its virtio console: says how large its terminal is,
# at first and when that has changed, answers a line, and speaks a lot.
exec </dev/hvc0 >/dev/hvc0 2>&1
dmesg -n 1 # the kernel's own words would cut lines in two
# The driver hands the size over by a work item of its own, just after the console is opened.
tries=50
until [ "$(stty size)" != '0 0' ] || [ "$tries" -eq 0 ]; do
	sleep 0.1
	tries=$((tries - 1))
done
first=$(stty size)
echo "guest: first size $first"
echo "guest: console $(cat /sys/class/tty/console/active)"
echo 'guest: ready'
read -r line
echo "guest: read $line"
until [ "$(stty size)" != "$first" ]; do
	sleep 0.1
done
echo "guest: size $(stty size)"
sleep 1
echo '<0>guest: by the kernel' >/dev/kmsg
sleep 1
echo 'guest: many lines'
seq 10000
echo 'guest: end'
# Until somebody stops it.
[ -z "${stay-}" ] || read -r line
