#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test-timeout: 4500
#
# Debian's kernel boots on splitx in the emulated Intel host, in trap mode: the same guest as in
# tests/lab/test_boot.sh, on kvm-intel.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

need_host intel "boots in the emulated Intel host"
lab/guestfs.sh --modules virtio_pci,virtio_blk,virtio_rng tests/lab/boot_job.sh "$tmp/guest.cpio"
sum=$(make_disk "$tmp/disk.img")

in_host intel --smp 1 --memory 768 --timeout 4200 --file "$tmp/guest.cpio" \
	--file "$tmp/disk.img" --file tests/lab/intel_cases.sh -- sh intel_cases.sh

judge intel 80 'guest: cpus 1' "guest: disk $sum $sum" 'guest: serial interrupts 1'
holds "KVM counts its exits" [ "$(counter intel exits)" -gt 0 ]
holds "notifications exit" [ "$(writes intel virtio-blk-notify)" -gt 0 ]
