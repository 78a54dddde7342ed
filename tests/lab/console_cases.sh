#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs in the emulated host: boots guests on terminals of their own, types, and changes the
# terminals' sizes. Leaves /tmp/out/NAME.out and .status for tests/lab/test_console.sh to judge.
mkdir -p /tmp/out

# heard TEXT : wait until the guest has said it
heard() {
	tries=900
	until grep -q "$1" "/tmp/out/$name.out" 2>/dev/null || [ "$tries" -eq 0 ]; do
		sleep 1
		tries=$((tries - 1))
	done
}

# On the terminal that script(1) makes: its size first, and which one it is.
cat >on_terminal <<'EOT'
stty cols 90 rows 33
tty >terminal
status=0
./splitx run --watchdog 0 --kernel vmlinux --initrd guest.cpio --console virtio "$@" || status=$?
echo "$status" >status
EOT

# boot NAME ARGUMENT... : its keys come by descriptor 3; arguments are words of a shell
boot() {
	name=$1
	shift
	rm -f keys
	mkfifo keys
	script -q -f -c "sh on_terminal $*" "/tmp/out/$name.out" <keys >/dev/null 2>&1 &
	exec 3>keys
}

leave() {
	exec 3>&-
	wait
	mv status "/tmp/out/$name.status"
	echo "case $name: $(cat "/tmp/out/$name.status"), $(cut -d' ' -f1 /proc/uptime) s after the start"
}

# talk SIZE... : answer it, then change its terminal's size
talk() {
	heard 'guest: ready'
	printf 'hello over there\n' >&3
	heard 'guest: read '
	stty -F "$(cat terminal)" "$@"
}

# What the kernel says is there from its first message on; each byte of
# it costs exits by the serial port. In the end the user has enough.
boot trap --mode trap --append "'earlycon=uart8250,io,0x3f8 console=hvc0 stay=yes'"
talk cols 132 rows 43
heard 'guest: end'
printf '\001x' >&3
leave

boot split --mode split --wait pause:100 --append "'console=hvc0 quiet'"
talk rows 50
leave
