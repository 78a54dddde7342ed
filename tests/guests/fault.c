/* SPDX-License-Identifier: BSD-3-Clause */
/* Triple-faults at once, as a program with a bug does that is run by itself. */
#include "bench/guests/lib/guest.h"

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	(void)boot;
	(void)vcpu;
	memset((void *)(uintptr_t)SX_GUEST_IDT, 0, 4096);
	__asm__ volatile("ud2");
	return 0;
}
