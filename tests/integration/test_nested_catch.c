// SPDX-License-Identifier: BSD-3-Clause
/* L2's writes of control registers, which KVM does not show: those L1 asked for are exits to it. */
#include "guestcore/cpuid.h"
#include "tests/support/nested.h"

#define ROUNDS 20u

/* Does L2's XSETBV take place? */
static bool has_xsave(struct world *w)
{
	const struct kvm_cpuid_entry2 *e;
	struct sx_cpuid host;
	struct sx_error err;
	bool has;

	assert_int_equal(sx_cpuid_get(&host, &w->kvm, &err), 0);
	e = sx_cpuid_find(&host, 1, 0);
	has = e && e->ecx & 1u << 26;
	sx_cpuid_free(&host);
	return has;
}

static void writes_are_told(void **state)
{
	struct world *w = world_of(state);
	struct guest *g = nested_build(w, "tests/l1_catch", 1, ROUNDS, nested_place(w));

	/* Three a round; then 1, 4, 2, 1, 2, 4 and 2. */
	assert_int_equal(nested_run(g).exits, 3 * ROUNDS + 14 + (has_xsave(w) ? 2 : 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(writes_are_told, trap),
		SX_CASE(writes_are_told, split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
