// SPDX-License-Identifier: BSD-3-Clause
/*
 * A vector is raised by one thread while another masks and unmasks it: each raise arrives once,
 * at once or when the vector is unmasked, and never gets lost between the two.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <sched.h>

#include "ipc/rcu.h"
#include "ipc/wire/types.h"
#include "tests/support/virtio_world.h"

#define ROUNDS 20000u
#define DEVFN  SX_PCI_DEVFN(1, 0)

static struct vw_world w;
static struct sx_pci_function f;
static struct sx_msix m;
static uint32_t go, done; /* rounds begun by the test, and ended by the raiser */

static void *raise_when_told(void *arg)
{
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		while (sx_load_acquire(&go) != round) /* pairs with the release in the test */
			sched_yield();
		sx_msix_raise(&m, 0);
		sx_store_release(&done, round); /* pairs with the acquire in the test */
	}
	return arg;
}

static void mask(bool on)
{
	vw_write(&w, VW_LOW + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, on);
}

static void no_raise_is_lost(void **state)
{
	const struct sx_pci_ids ids = {.vendor = 1};
	unsigned came = 0;
	pthread_t thread;

	(void)state;
	vw_init(&w, 1 << 20);
	sx_pci_function_init(&f, "probe", &ids);
	assert_int_equal(sx_msix_init(&m, &f, 0, 1, NULL), 0);
	assert_int_equal(sx_pci_add(&w.host, &f, DEVFN, NULL), 0);
	vw_config_write(&w, DEVFN, PCI_BASE_ADDRESS_0, 4, VW_LOW);
	vw_config_write(&w, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	vw_config_write(&w, DEVFN, 0x40 + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(pthread_create(&thread, NULL, raise_when_told, NULL), 0);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		mask(true);
		came += vw_interrupts(&w, 0, 0);
		sx_store_release(&go, round);
		for (unsigned i = 0; i < round % 5; i++)
			mask(i & 1);
		while (sx_load_acquire(&done) != round) {
			mask(round & 1);
			sched_yield();
		}
		mask(false);
		came += vw_interrupts(&w, 0, 0);
		assert_int_equal(came, round);
	}
	pthread_join(thread, NULL);
	sx_msix_destroy(&m);
	sx_pci_remove(&f);
	vw_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_raise_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
