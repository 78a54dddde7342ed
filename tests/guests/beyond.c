/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends with 200, which is beyond the codes that `splitx run` passes on. */
#include "bench/guests/lib/guest.h"

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	(void)boot;
	(void)vcpu;
	return 200;
}
