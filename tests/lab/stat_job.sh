# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# The job of the guests in tests/lab/test_stat.sh: read from the disk, say how many requests the
# kernel counted, and stay.
dd if=/dev/vda of=/dev/null bs=4096 count=200 iflag=direct 2>/dev/null
# Documentation/block/stat.rst: the first field is the reads that were completed.
read -r reads rest </sys/block/vda/stat
echo "guest: reads $reads"
sleep 1000
