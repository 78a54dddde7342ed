/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends at once: its first exit is its last. Tells how long a guest takes to start. */
#include "bench/guests/lib/guest.h"

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	(void)boot;
	(void)vcpu;
	return 0;
}
