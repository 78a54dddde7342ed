/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends with the code that it is given as its argument. */
#include "bench/guests/lib/guest.h"

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	(void)vcpu;
	return (int)boot->argument;
}
