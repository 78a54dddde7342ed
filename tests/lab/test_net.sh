#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 2400
#
# Networks of Linux guests in the emulated AMD host, in both modes: DHCP, files there and back on
# the network `user` and on a tap, a queue pair for each vCPU, and interrupts that go where they
# are told to. Checksums are the judges.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

need_host amd "networks in the emulated host"
lab/guestfs.sh --modules virtio_pci,virtio_net,virtio_rng tests/lab/net_job.sh "$tmp/guest.cpio"
head -c 3000001 /dev/urandom >"$tmp/file"
sum=$(md5sum <"$tmp/file" | cut -c 1-32)

in_host amd --smp 3 --timeout 2200 --modules tun --file "$tmp/guest.cpio" --file "$tmp/file" \
	--file tests/lab/net_cases.sh -- sh net_cases.sh

for mode in trap split; do
	judge net-$mode 0 'guest: address 10.0.2.15/24' "guest: eth0 got $sum" "guest: eth1 got $sum" \
		"guest: eth0 was sent $sum" 'guest: queues 2' \
		'guest: queue 0 interrupts some none' 'guest: queue 1 interrupts none some' \
		'guest: moved to 1 none some' 'guest: moved to 0 some none'
	holds "net-$mode: the file that the guest sent came whole" [ -e "$tmp/out/net-$mode.came" ]
done
holds "trap: notifications exit" [ "$(writes net-trap virtio-net-notify)" -gt 0 ]
