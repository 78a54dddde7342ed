/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes to an address where nothing is. */
#include "bench/guests/lib/guest.h"

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	(void)boot;
	(void)vcpu;
	reg_write((uint64_t *)(uintptr_t)0xe0000040u, 1);
	return 0;
}
