# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# What the guest of tests/lab/test_balloon.sh does: wait until the balloon has as many pages as
# the host wants (pages=, of its command line), use memory, free it when it is told to, and wait until
# it is told that this was seen.
in_balloon() {
	awk '$1 == "balloon_inflate" { n += $2 } $1 == "balloon_deflate" { n -= $2 }
		END { print n + 0 }' /proc/vmstat
}

left=600
# shellcheck disable=SC2154 # the kernel's command line says it
until [ "$(in_balloon)" -ge "$pages" ] || [ "$left" -eq 0 ]; do
	sleep 1
	left=$((left - 1))
done
echo "guest: balloon $(in_balloon)"
dd if=/dev/zero of=/dev/shm/memory bs=1M count=64 2>/dev/null
echo "guest: sum $(md5sum </dev/shm/memory | cut -c 1-32)"
read -r word
rm /dev/shm/memory
echo "guest: freed"
read -r word
echo "guest: read $word, balloon $(in_balloon)"
