/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest `l1_hostile` does; its argument. */
#ifndef SX_TESTS_GUESTS_L1_HOSTILE_H
#define SX_TESTS_GUESTS_L1_HOSTILE_H

enum l1_harm {
	L1_VMCSS,     /* VMCS12s at random */
	L1_REWRITTEN, /* one that another vCPU writes over; two vCPUs */
	L1_POINTERS,  /* to where no VMCS is */
	L1_TABLES,    /* EPT12 at random, in circles, beyond memory */
	L1_SCAN,      /* its L2 reads everywhere */
	L1_STORM,     /* launch and reset */
	L1_NOWHERE,   /* EPT12 leads to where no memory of L1 is */
};

#endif
