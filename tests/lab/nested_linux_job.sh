# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash
#
# The job of L1 in tests/lab/nested_linux.sh: Debian's kvm-intel on a processor whose VMX is
# splitx's. Its L2s are a bare one, by an ordinary user of KVM (bench/linux/l1.c), and with
# linux=yes a Linux. That has its memory from 48 hugepages of L1's, since each page that it touches
# first is an exit to L1; and what of its kernel takes long and nobody misses here is left out.

echo "guest: vendor $(sed -n 's/^vendor_id.*: //p' /proc/cpuinfo | sort -u)"
insmod /bin/splitx_vmx.ko 2>/dev/null && echo "guest: splitx_vmx is loaded"
[ -z "${plain-}" ] || exit
while read -r module; do
	insmod "/bin/kvm/$module" && echo "guest: $module is loaded"
done </bin/kvm/order
# With one core only while the kernel patches itself (docs/lab.md, "Quirks").
other_cores() { # 0|1
	for core in /sys/devices/system/cpu/cpu[1-9]; do
		echo "$1" >"$core/online"
	done
}
other_cores 0
kvmcheck --hold >/tmp/held &
holder=$!
until grep -qx held /tmp/held; do
	kill -0 $holder || exit
	sleep 0.1
done
other_cores 1
echo "guest: vmx flags $(sed -n 's/^vmx flags.*: //p' /proc/cpuinfo | sort -u)"
printf '%s\n' 'l2_pio 100' go go 'l2_mmio 100' go go end | l1 | sed 's/^splitx-bench:/guest:/'
if [ -n "${linux-}" ]; then
	fast='nokaslr mitigations=off init_on_alloc=0 cryptomgr.notests tsc=reliable no_timer_check'
	fast="$fast audit=0 lsm=capability psi=0 nowatchdog random.trust_cpu=on rodata=off"
	fast="$fast cgroup_disable=memory initcall_blacklist=trace_eval_init,tracer_init_tracefs"
	splitx run --mode trap --memory 96M --hugepages --kernel /bin/vmlinux \
		--initrd /bin/l2.cpio --append "console=ttyS0 quiet panic=-1 $fast" 2>&1
	echo "guest: Linux as L2 ended with $?"
fi
other_cores 0
kill $holder
wait $holder
rmmod kvm_intel kvm splitx_vmx && echo "guest: all is unloaded"
# What a kernel says when something is wrong with it.
bad='WARNING:|BUG:|Oops|Call Trace|soft lockup|rcu.*stall|unchecked MSR|splitx_vmx: the engine'
dmesg | grep -E "$bad"
echo "guest: complaints $(dmesg | grep -cE "$bad")"
