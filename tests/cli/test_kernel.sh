#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# splitx run --kernel: a small Multiboot kernel, and everything that may be wrong with what it is
# given: one sentence, the documented exit status, nothing left behind. Linux boots in
# tests/lab/test_boot.sh.
set -euo pipefail
source=$(dirname "$(realpath "$0")")/multiboot.S
# shellcheck source=tests/cli/common.sh
. "$(dirname "$0")/common.sh"

run=("$SPLITX" run --watchdog 0)
has_kvm=
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then has_kvm=yes; fi

# Run what needs KVM, or say that it is skipped.
with_kvm() { # COMMAND NAME ...
	if [ -n "$has_kvm" ]; then
		"$@"
	else
		skip "$2" "there is no /dev/kvm that can be used"
	fi
}

"${CC:-cc}" -m32 -ffreestanding -nostdlib -static -no-pie -Wl,--build-id=none \
	-Wl,-Ttext-segment=0x100000 -Wl,-z,max-page-size=4096 -o "$tmp/kernel" "$source"
printf hello >"$tmp/one"
printf world >"$tmp/two"
truncate -s 1M "$tmp/disk" "$tmp/other"

# ---- it starts, is given what it was promised, and switches the machine off ----

says() { # NAME TEXT OPTION...
	local name=$1 text=$2
	shift 2
	invoke "${run[@]}" --kernel "$tmp/kernel" "$@"
	if [ "$status" -ne 0 ]; then
		not_ok "$name" "exit status $status"
	elif [ "$(cat "$tmp/out")" != "$text" ]; then
		not_ok "$name" "it says something else"
	elif [ -n "$left" ]; then
		not_ok "$name" "left behind:$left"
	else
		ok "$name"
	fi
}

for mode in trap split; do
	with_kvm says "a kernel alone, $mode" 'command line: kernel console=ttyS0
loader: splitx
memory: 511 MiB
modules: 0' --mode $mode
	with_kvm says "with modules and a command line, $mode" 'command line: kernel a=1 b
loader: splitx
memory: 5119 MiB
modules: 2
one is hello
two is world' --mode $mode --append 'a=1 b' --initrd "$tmp/one" --initrd "$tmp/two" --memory 5G
	with_kvm says "with networks, $mode" 'command line: kernel x
loader: splitx
memory: 511 MiB
modules: 0' --mode $mode --append x --net user --net user,mac=52:54:00:12:34:56,mtu=9000
	with_kvm says "with a vsock, whose socket goes away, $mode" 'command line: kernel x
loader: splitx
memory: 511 MiB
modules: 0' --mode $mode --append x --vsock vm.sock,cid=42
	with_kvm says "with a virtio console, on which it says nothing, $mode" \
		'command line: kernel earlycon=uart8250,io,0x3f8 console=hvc0
loader: splitx
memory: 511 MiB
modules: 0' --mode $mode --console serial --console virtio
	with_kvm says "with four vCPUs, devices and idle cores, $mode" 'command line: kernel y
loader: splitx
memory: 63 MiB
modules: 0' --mode $mode --vcpus 4 --append y --memory 64M --rng --disk "$tmp/disk,serial=1" \
		--disk "$tmp/other,readonly,block=512,cache=cached" --prefault --wait pause:50 \
		--balloon=target=32M
done

# ---- kernels and initrds that are none ----

refuses() { # NAME STATUS TEXT OPTION...
	local name=$1 want=$2 text=$3
	shift 3
	with_kvm fails "$name, trapped" "$want" "$text" "${run[@]}" --mode trap "$@"
	with_kvm fails "$name, split" "$want" "$text" "${run[@]}" --mode split "$@"
}

: >"$tmp/empty"
head -c 4096 /dev/zero | tr '\0' x >"$tmp/text"
head -c 5000 "$tmp/kernel" >"$tmp/cut"
truncate -s 20M "$tmp/large"
k=("--kernel" "$tmp/kernel")

refuses "no such kernel" 66 "cannot open kernel" --kernel "$tmp/nothing"
refuses "a kernel that is a directory" 65 "not a regular file" --kernel "$tmp"
refuses "a kernel that is empty" 65 "is empty" --kernel "$tmp/empty"
refuses "a kernel that is a text" 65 "of no kind that can be started" --kernel "$tmp/text"
refuses "a kernel that is a program" 65 "of no kind that can be started" --kernel "$SPLITX"
refuses "a kernel that is cut short" 65 "cut short" --kernel "$tmp/cut"
refuses "no such initrd" 66 "cannot open initrd" "${k[@]}" --initrd "$tmp/nothing"
refuses "an initrd that is empty" 65 "is empty" "${k[@]}" --initrd "$tmp/empty"
refuses "an initrd that is a device" 65 "not a regular file" "${k[@]}" --initrd /dev/zero
refuses "an initrd that is too large" 65 "give more by --memory" "${k[@]}" --initrd "$tmp/large" \
	--memory 16M
long=$(head -c 70000 "$tmp/large" | tr '\0' x)
refuses "a command line that is too long" 64 "shorten it" "${k[@]}" --append "$long"

# ---- machines that cannot be ----

refuses "too little memory" 64 "at least 16 MiB" "${k[@]}" --memory 15M
refuses "memory of half a page" 64 "multiple of 4 KiB" "${k[@]}" --memory 65537K
refuses "memory beyond all addresses" 64 "change --memory" "${k[@]}" --memory 300000G
with_kvm fails "more vCPUs than cores that keep theirs" 64 "use --idle halt" "${run[@]}" \
	"${k[@]}" --mode trap --idle poll --vcpus 64
refuses "no such disk" 66 "$tmp/nothing" "${k[@]}" --disk "$tmp/nothing"
refuses "a disk with a word too many" 64 "not 'fast'" "${k[@]}" --disk "$tmp/disk,fast"
refuses "a disk with a bad number of queues" 64 "queues= of --disk" "${k[@]}" \
	--disk "$tmp/disk,queues=0"
refuses "a disk twice" 69 "$tmp/disk" "${k[@]}" --disk "$tmp/disk" --disk "$tmp/disk"
refuses "a balloon that knows no such word" 64 "knows target=" "${k[@]}" --balloon=32M
refuses "a balloon without a size" 64 "target= of --balloon wants a size" "${k[@]}" --balloon=target=
refuses "a balloon beyond memory" 64 "at most the guest's memory, 32 MiB" "${k[@]}" --memory 32M \
	--balloon=target=33M

refuses "a vsock without a path" 64 "needs the path" "${k[@]}" --vsock ,cid=3
refuses "a vsock in no folder" 66 "the socket 'no/vm.sock'" "${k[@]}" --vsock no/vm.sock
refuses "a vsock at a file" 64 "no socket" "${k[@]}" --vsock "$tmp/disk"
refuses "a vsock with too long a path" 64 "at most 96 characters" "${k[@]}" --vsock "${long:0:97}"
refuses "a guest with the host's CID" 64 "cid= of --vsock" "${k[@]}" --vsock vm.sock,cid=2
refuses "a vsock with a word too many" 64 "knows cid=" "${k[@]}" --vsock vm.sock,port=2
refuses "a vsock twice" 69 "somebody listens" "${k[@]}" --vsock vm.sock --vsock vm.sock

# ---- networks ----

refuses "no network" 64 "is no network" "${k[@]}" --net cable
refuses "a network without a word" 64 "is no network" "${k[@]}" --net mtu=1500
refuses "a forward without ports" 64 "hostfwd=tcp:HOSTPORT-GUESTPORT" "${k[@]}" \
	--net user,hostfwd=tcp:22
refuses "an address of letters" 64 "mac= of --net" "${k[@]}" --net user,mac=52:54:00:12:34:5g
refuses "an address that is too long" 64 "mac= of --net" "${k[@]}" \
	--net user,mac=52:54:00:12:34:56:78
refuses "a group's address" 64 "neither a group's nor zero" "${k[@]}" \
	--net user,mac=53:54:00:12:34:56
refuses "an MTU that is too small" 64 "mtu= of --net" "${k[@]}" --net user,mtu=67
refuses "more queues than virtio has" 64 "queues= of --net" "${k[@]}" --net user,queues=65
refuses "more queues than the network" 64 "no more queue pairs than 1" "${k[@]}" --net user,queues=2
refuses "a tap that cannot be named so" 64 "is no name of a network" "${k[@]}" --net tap=a/b
refuses "an interface that is no tap" 64 "is no tap" "${k[@]}" --net tap=lo
refuses "a port without a name" 64 "names no DPDK port" "${k[@]}" --net queues=2,port=
if [ -e "$SX_BUILD_DIR/lib/splitx-dpdk.so" ]; then
	with_kvm says "with ports" 'command line: kernel x
loader: splitx
memory: 511 MiB
modules: 0' --append x --net port=net_null0 --net "mac=02:00:00:00:00:01,queues=2,port=net_ring0"
	refuses "no such port" 69 "'net_none0,mac=1' cannot be opened" "${k[@]}" \
		--net mtu=1500,port=net_none0,mac=1
	refuses "a port twice" 69 "in use already" "${k[@]}" --net port=net_null0 --net port=net_null0
	refuses "more queues than the port" 64 "no more queue pairs than 1" "${k[@]}" \
		--net "queues=2,port=net_pcap0,tx_pcap=/dev/null"
else
	skip "ports" "this splitx was built without DPDK"
fi
# A command that lies alone has no plug-in.
cp "$SPLITX" "$tmp/splitx"
with_kvm fails "a port without DPDK" 69 "was built without DPDK" "$tmp/splitx" run "${k[@]}" \
	--net port=net_null0

# ---- devices and their sidecores ----

pin=("$SPLITX" run --watchdog 0 "${k[@]}" --rng --disk "$tmp/disk" --rng)
with_kvm fails "a sidecore that is none" 64 "CPU 65432, which is no sidecore" "${pin[@]}" \
	--device-core rng1=65432
fails "no such device" 64 "no device 'rng2'" "${pin[@]}" --device-core rng2=1
fails "a device without its number" 64 "no device 'disk'" "${pin[@]}" --device-core disk=1
fails "a device without a CPU" 64 "wants DEVICE=CPU" "${pin[@]}" --device-core rng0
fails "a device on no CPU" 64 "the CPU of --device-core" "${pin[@]}" --device-core disk0=two
fails "a device's sidecore, trapped" 64 "no meaning with --mode trap" "${pin[@]}" --mode trap \
	--device-core rng0=1

# ---- a hypervisor by splitx's own VMX ----

# What tests/kernels/vmx.c finds, whatever the host: #GPs by a locked, a read-only and a missing MSR.
vmx='GenuineIntel
vmx 00000001
version [0-9a-f]{8}
lines 0000000[12]
at e0200000
revision 53580001
control 00000000
control 00000005
faults 00000000
faults 00000003
kick e03ff000
on 00000000'

nests() { # NAME OPTION...
	local name=$1
	shift
	invoke "${run[@]}" --kernel "$SX_BUILD_DIR/tests/kernels/vmx" "$@"
	if [ "$status" -eq 69 ] && grep -q 'nested=0' "$tmp/err"; then
		skip "$name" "this host's KVM has VMX for its guests"
	elif [ "$status" -eq 0 ] && [[ $(cat "$tmp/out") =~ ^$vmx$ ]] && [ -z "$left" ]; then
		ok "$name"
	else
		not_ok "$name" "exit status $status"
	fi
}

with_kvm nests "a hypervisor, trapped" --mode trap --nested
with_kvm nests "a hypervisor, split" --nested=colocated --vcpus 2
with_kvm nests "a hypervisor whose guests have cores" --nested=parallel
fails "guests of guests where no guest is" 64 "--nested is colocated or parallel" \
	"$SPLITX" run --kernel x --nested=elsewhere
fails "guests' own cores, trapped" 64 "no meaning with --mode trap" \
	"$SPLITX" run --kernel x --mode trap --nested=parallel
fails "two kinds of VMX" 64 "one of them" "$SPLITX" run --kernel x --nested --cpu host,nested
fails "a hypervisor on hugepages" 64 "leave one of them out" \
	"$SPLITX" run --kernel x --nested --hugepages

# ---- command lines ----

for option in "--initrd x" "--append x" "--cpu host" --nested "--idle poll" --hugepages --memfd --prefault \
	"--reboot exit" "--console virtio" "--disk x" "--net user" "--device-core rng0=1" --rng \
	--balloon "--vsock x"; do
	read -ra words <<<"$option"
	fails "${words[0]} for a micro-guest" 64 "${words[0]} is for kernels" "$SPLITX" run \
		"${words[@]}" guest
done
fails "a kernel and a micro-guest" 64 "not both" "$SPLITX" run --kernel x guest
fails "another processor" 64 "--cpu is host or host,nested" "$SPLITX" run --kernel x --cpu max
fails "another way to idle" 64 "--idle is halt or poll" "$SPLITX" run --kernel x --idle spin
fails "another console" 64 "--console is serial or virtio" "$SPLITX" run --kernel x --console vga
fails "another reboot" 64 "--reboot is exit or restart" "$SPLITX" run --kernel x --reboot never
many=()
for _ in {1..17}; do many+=(--initrd x); done
fails "too many initrds" 64 "16 times at most" "$SPLITX" run --kernel x "${many[@]}"
many=()
for _ in {1..32}; do many+=(--rng); done
fails "too many devices" 64 "at most 31 devices" "$SPLITX" run --kernel x "${many[@]}"
fails "too many devices with the console" 64 "at most 31 devices" "$SPLITX" run --kernel x \
	"${many[@]:1}" --console virtio
finish
