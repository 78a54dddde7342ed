/* SPDX-License-Identifier: BSD-3-Clause */
/* The smallest guest: says who it is and reads one device register. */
#include "bench/guests/lib/guest.h"

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	const struct sx_testdev_regs *dev = (const void *)(uintptr_t)boot->testdev;

	if (vcpu != 0)
		return 0;
	GUEST_ASSERT(reg_read(&dev->id) == SX_TESTDEV_ID_VALUE);
	guest_printf("hello from a guest with %u vCPU and %llu MiB, exits handled by %s\n",
		     boot->vcpus, (unsigned long long)(boot->memory >> 20),
		     boot->split ? "a sidecore" : "its own thread");
	return 0;
}
