// SPDX-License-Identifier: BSD-3-Clause
/*
 * Plans for tests: made or refused as wanted, on described machines.
 */
#ifndef SX_TESTS_SUPPORT_PLACEMENT_H
#define SX_TESTS_SUPPORT_PLACEMENT_H

#include "guestcore/placement.h"

/* Plan @req, and fail the test when that is refused. Free with sx_placement_free(). */
struct sx_placement *want_plan(const struct sx_placement_request *req);

/* Plan @req, and fail the test unless it is refused with @code in a sentence that has @says. */
void want_refusal(const struct sx_placement_request *req, int code, const char *says);

/* Check the CPUs of a plan, given as "guest cores|sidecores", such as "2,3|1" or "1|". */
void want_cpus(const struct sx_placement *p, const char *cpus);
/* want_plan(), want_cpus() and sx_placement_free() at once. */
void want_choice(const struct sx_placement_request *req, const char *cpus);

/* Is there a warning with @says in it? */
bool warns(const struct sx_placement *p, const char *says);

/* A directory with the files of /sys/devices/system/cpu; NULL leaves a file out. */
struct fake_sys {
	char dir[64];
};

void fake_sys_make(struct fake_sys *sys, const char *isolated, const char *nohz_full,
		   const char *online, const char *present);
void fake_sys_remove(struct fake_sys *sys);

#endif
