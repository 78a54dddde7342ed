/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs until it is stopped. */
#include "bench/guests/lib/guest.h"

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	(void)boot;
	(void)vcpu;
	for (;;)
		sx_pause();
}
