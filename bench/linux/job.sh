# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# What a Linux guest does in a benchmark (lab/guestfs.sh makes it its job). It says when its kernel
# started init, then does as it is told, line by line, over the console: bench/vmm.h is the other
# side.
#
#   blk RW DEPTH COUNT       COUNT requests of 4 KiB to /dev/vda by fio, DEPTH at a time; fewer
#                            where they take more than 20 seconds
#   net PROTOCOL DIRECTION SECONDS
#                            a stream by iperf3, tcp or udp, tx or rx
#   nothing                  what the talk itself costs
#   end                      the end
#
# A measurement says "ready", and begins when the host says so; it says "done", and goes on when
# the host has read its counters. Then comes "result" with numbers: how many requests or packets,
# and the milliseconds for all of them; from fio also the microseconds of p50, p99, p99.9 and mean.

HOST=198.18.0.1 GUEST=198.18.0.2 # of the block that RFC 2544 sets aside for benchmarks

# say WORD... : a line for the benchmark
say() {
	echo "splitx-bench: $*"
}

# between COMMAND... : run it between the host's two looks at its counters
between() {
	say ready
	read -r _
	"$@" >/tmp/said 2>&1 || echo "$?" >/tmp/failed
	say 'done'
	read -r _
	[ ! -e /tmp/failed ] || say failed "$1: $(tail -n 1 /tmp/said)"
}

# By the kernel's own count: reads and writes that the disk has completed.
disk_requests() {
	awk '{ print $1 + $5 }' /sys/block/vda/stat
}

# The fields of fio's terse output, version 3, from the first one of reads or of writes on:
# the runtime is the fourth, the mean latency the eleventh, percentiles begin at the thirteenth.
fio_times() { # FIRST
	awk -F ';' -v o="$1" '/^3;/ {
		for (i = o + 12; i < o + 32; i++) {
			split($i, p, "%=")
			us[p[1] + 0] = p[2]
		}
		print $(o + 3), us[50], us[99], us[99.9], $(o + 10)
	}' /tmp/fio
}

measure_disk() { # RW DEPTH COUNT
	local before first=6
	case $1 in
	*write) first=47 ;;
	esac
	before=$(disk_requests)
	between fio --name=bench --filename=/dev/vda --direct=1 --thread --ioengine=io_uring \
		--rw="$1" --bs=4k --iodepth="$2" --number_ios="$3" --runtime=20 --norandommap --eta=never \
		--output-format=terse --terse-version=3 --output=/tmp/fio
	say result $(($(disk_requests) - before)) "$(fio_times $first)"
}

start_net() {
	ip addr add "$GUEST/30" dev eth0
	ip link set eth0 up
	until nc -w 2 "$HOST" 5201 </dev/null >/dev/null 2>&1; do
		sleep 1
	done
}

packets() { # DIRECTION
	cat "/sys/class/net/eth0/statistics/$1_packets"
}

hundredths() { # of seconds since the start
	sed 's/^\([0-9]*\)\.\([0-9]*\) .*/\1\2/' /proc/uptime
}

stream() { # PROTOCOL DIRECTION SECONDS
	local begin
	set -- "$@" -c "$HOST" -t "$3"
	[ "$1" = tcp ] || set -- "$@" -u -b 0 -l 1470
	[ "$2" = tx ] || set -- "$@" -R
	shift 3
	begin=$(hundredths)
	iperf3 "$@" || return
	echo $(($(hundredths) - begin)) >/tmp/hundredths
}

measure_net() { # PROTOCOL DIRECTION SECONDS
	local before
	[ "$(cat /sys/class/net/eth0/operstate)" = up ] || start_net
	before=$(packets "$2")
	between stream "$@"
	say result $(($(packets "$2") - before)) "$(cat /tmp/hundredths)0"
}

stty -echo </dev/console
say init "$(dmesg | sed -n 's/^\[ *\([0-9.]*\)\] Run .* as init process$/\1/p')"
while read -r what a b c; do
	rm -f /tmp/failed
	case $what in
	blk) measure_disk "$a" "$b" "$c" ;;
	net) measure_net "$a" "$b" "$c" ;;
	nothing) between true && say result 1 1 ;;
	end) break ;;
	*) say failed "the guest does not know '$what'" ;;
	esac
done
