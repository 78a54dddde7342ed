/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest `crash` takes as its argument: how it goes wrong, and from bit 8 on which vCPU. */
#ifndef TEST_CRASH_H
#define TEST_CRASH_H

enum test_crash {
	TEST_CRASH_TRIPLE_FAULT = 1, /* an exception without an IDT */
	TEST_CRASH_MMIO_READ,        /* touch an address where nothing is */
	TEST_CRASH_MMIO_WRITE,
	TEST_CRASH_PORT_READ, /* the same by port */
	TEST_CRASH_PORT_WRITE,
	TEST_CRASH_ACROSS_END,  /* an access that a device's range does not hold whole */
	TEST_CRASH_PAST_MEMORY, /* the first byte behind the guest's memory */
	TEST_CRASH_JUMP,        /* run code where nothing is */
	TEST_CRASH_EMULATION,   /* an instruction on a device that KVM does not emulate: FXSAVE */
	TEST_CRASH_PRIVILEGED,  /* an instruction that is not for CPL3 */
	TEST_CRASH_SUPERVISOR,  /* write the page tables, which are not for CPL3 */
	TEST_CRASH_NULL,        /* follow a null pointer */
};

#define TEST_CRASH_HOW        0xffull
#define TEST_CRASH_VCPU_SHIFT 8

/* Where there is neither memory nor a device. */
#define TEST_NOWHERE      0xe0000040u
#define TEST_NOWHERE_PORT 0x1234u

#endif
