# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# The job of a Linux guest that is L1 (lab/guestfs.sh): l1.c does it all.
stty -echo </dev/console
l1
