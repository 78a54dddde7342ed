/* SPDX-License-Identifier: BSD-3-Clause */
/* One of its vCPUs goes wrong as its argument says. Ends with 50 if that had no effect. */
#include "bench/guests/lib/guest.h"
#include "tests/guests/crash.h"

static uint32_t arrived;

static volatile uint64_t *at(uint64_t address)
{
	return (volatile uint64_t *)(uintptr_t)address;
}

/* Without gates an exception becomes a double fault, and that a triple fault. */
static void triple_fault(void)
{
	memset((void *)(uintptr_t)SX_GUEST_IDT, 0, 4096);
	__asm__ volatile("ud2");
}

static void follow_null(void)
{
	volatile uint64_t null = 0;

	*at(null) = 1;
}

static void crash(const struct sx_boot_info *boot)
{
	switch ((enum test_crash)(boot->argument & TEST_CRASH_HOW)) {
	case TEST_CRASH_TRIPLE_FAULT:
		triple_fault();
		break;
	case TEST_CRASH_MMIO_READ:
		(void)*at(TEST_NOWHERE);
		break;
	case TEST_CRASH_MMIO_WRITE:
		*at(TEST_NOWHERE) = 1;
		break;
	case TEST_CRASH_PORT_READ:
		inb(TEST_NOWHERE_PORT);
		break;
	case TEST_CRASH_PORT_WRITE:
		outl(TEST_NOWHERE_PORT, 1);
		break;
	case TEST_CRASH_ACROSS_END:
		outl(SX_PORT_UART + 6, 1);
		break;
	case TEST_CRASH_PAST_MEMORY:
		*at(boot->memory) = 1;
		break;
	case TEST_CRASH_JUMP:
		((void (*)(void))(uintptr_t)TEST_NOWHERE)();
		break;
	case TEST_CRASH_EMULATION:
		__asm__ volatile("fxsave64 (%0)" : : "r"(boot->testdev) : "memory");
		break;
	case TEST_CRASH_PRIVILEGED:
		__asm__ volatile("hlt");
		break;
	case TEST_CRASH_SUPERVISOR:
		*at(SX_GUEST_TABLES) = 0;
		break;
	case TEST_CRASH_NULL:
		follow_null();
		break;
	}
}

int guest_main(const struct sx_boot_info *boot, unsigned vcpu)
{
	/* All have set the gates that they share before one may take them away. */
	__atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
	while (sx_load_acquire(&arrived) != boot->vcpus)
		sx_pause();
	if (vcpu == boot->argument >> TEST_CRASH_VCPU_SHIFT)
		crash(boot);
	while (vcpu == 0 && boot->vcpus > 1)
		sx_pause();
	return 50;
}
