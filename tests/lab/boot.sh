# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# Sourced in the emulated host by the scripts that boot guests there, one after the other. Each
# leaves /tmp/out/NAME.out, .err and .status for the test to judge.
mkdir -p /tmp/out
exec </dev/null

# Its cores are shared with others: a sidecore that sleeps soon gives back what it does not need.
# What wakes it is a notification that exits.
# shellcheck disable=SC2034 # used by who sources this
split='--mode split --wait pause:100'

# Several cores are started by the init, when the kernel has patched itself (docs/lab.md, "Quirks").
cores_later() { # ARGUMENT...
	case " $* " in
	*' --vcpus '*) echo 'maxcpus=1 noreplace-smp' ;;
	esac
}

# boot NAME APPEND ARGUMENT... : standard input is the guest's
boot() {
	local name=$1 append=$2 status=0
	shift 2
	timeout -k 30 "${limit:-600}" ./splitx run "$@" --stats=json \
		--append "console=ttyS0 quiet panic=-1 $(cores_later "$@") $append" \
		>"/tmp/out/$name.out" 2>"/tmp/out/$name.err" || status=$?
	echo "$status" >"/tmp/out/$name.status"
	echo "case $name: $status, $(cut -d' ' -f1 /proc/uptime) s after the start"
}

# heard PID NAME TEXT [COUNT] : wait until that guest, which runs as PID, has said it so often
heard() {
	until [ "$(grep -c "$3" "/tmp/out/$2.out" 2>/dev/null)" -ge "${4:-1}" ]; do
		kill -0 "$1" || return 1
		sleep 1
	done
}
