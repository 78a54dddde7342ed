# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# The job of the guests in tests/lab/test_net.sh. eth0 is on the network `user`, eth1 on a tap with
# a queue pair for each vCPU.

sum() {
	md5sum | cut -c 1-32
}

# What DHCP says is taken; eth1's address is agreed upon.
set_up() {
	cat >/dhcp <<'SCRIPT'
#!/bin/sh
[ "$1" != bound ] || ip addr add "$ip/$mask" dev "$interface"
SCRIPT
	chmod 755 /dhcp
	ip link set eth0 up
	udhcpc -n -q -f -t 30 -i eth0 -s /dhcp >/dhcp.log 2>&1
	echo "guest: address $(ip -4 -o addr show dev eth0 | awk '{ print $4 }')"
	ip link set eth1 up
	ip addr add 192.168.77.2/24 dev eth1
}

# A file comes and goes, on both networks.
copy() {
	echo "guest: eth0 got $(wget -q -O - http://10.0.2.2:8000/file | sum)"
	echo "guest: eth1 got $(wget -q -O - http://192.168.77.1:8000/file | sum)"
	wget -q -O /file http://192.168.77.1:8000/file
	nc 192.168.77.1 9000 </file
	# It ends with its input, and would not wait for all.
	nc -l -p 22 </dev/console >/came &
	echo "guest: listens"
	wait
	echo "guest: eth0 was sent $(sum </came)"
}

# row NAME : a device's interrupt, how often each of the two vCPUs had it
row() {
	awk -v name="$1" '$NF == name { print $2, $3 }' /proc/interrupts
}

# grown BEFORE : of two rows, which numbers have grown
grown() {
	awk -v before="$1" '{ split(before, was)
		for (i = 1; i <= 2; i++) $i = $i > was[i] ? "some" : "none"; print }'
}

# Each vCPU fetches the file: the answers come through its own queue, and interrupt it.
queues() {
	local device cpu before
	device=$(basename "$(readlink -f /sys/class/net/eth1/device)")
	echo "guest: queues $(find /sys/class/net/eth1/queues/rx-* -prune | wc -l)"
	for cpu in 0 1; do
		before=$(row "$device-input.$cpu")
		taskset -c $cpu wget -q -O /dev/null http://192.168.77.1:8000/file
		echo "guest: queue $cpu interrupts $(row "$device-input.$cpu" | grown "$before")"
	done
}

# An interrupt that is told to go to another vCPU goes there. The first after that may be late.
move() {
	local device irq cpu before
	device=$(cd /sys/bus/virtio/drivers/virtio_rng && echo virtio*)
	irq=$(awk -v name="$device-input" '$NF == name { print $1 + 0 }' /proc/interrupts)
	for cpu in 1 0 1; do
		echo $cpu >"/proc/irq/$irq/smp_affinity_list"
		head -c 1024 /dev/hwrng >/dev/null
		before=$(row "$device-input")
		head -c 4096 /dev/hwrng >/dev/null
		echo "guest: moved to $cpu $(row "$device-input" | grown "$before")"
	done
}

set_up
copy
queues
move
