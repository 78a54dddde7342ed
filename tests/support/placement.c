// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/placement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct sx_placement *want_plan(const struct sx_placement_request *req)
{
	struct sx_placement *p;
	struct sx_error err = {0};
	int rc = sx_placement_plan(req, &p, &err);

	if (rc)
		fail_msg("refused with %d: %s", rc, err.text);
	assert_string_equal(err.text, "");
	assert_non_null(p);
	return p;
}

void want_refusal(const struct sx_placement_request *req, int code, const char *says)
{
	struct sx_placement *p = (struct sx_placement *)req;
	struct sx_error err = {0};
	int rc = sx_placement_plan(req, &p, &err);
	size_t len = strlen(err.text);

	if (rc != code || !strstr(err.text, says))
		fail_msg("wanted %d and '%s', got %d: %s", code, says, rc, err.text);
	assert_null(p);
	assert_true(len > 0 && len + 1 < sizeof(err.text));
	assert_null(strchr(err.text, '\n'));
	assert_int_not_equal(err.text[len - 1], '.');
}

void want_cpus(const struct sx_placement *p, const char *cpus)
{
	char have[512];
	size_t len = 0;

	for (unsigned i = 0; i < sx_placement_guest_cores(p); i++)
		len += (size_t)snprintf(have + len, sizeof(have) - len, "%s%u", i ? "," : "",
					sx_placement_guest_core(p, i));
	len += (size_t)snprintf(have + len, sizeof(have) - len, "|");
	for (unsigned i = 0; i < sx_placement_sidecores(p); i++)
		len += (size_t)snprintf(have + len, sizeof(have) - len, "%s%u", i ? "," : "",
					sx_placement_sidecore(p, i));
	assert_string_equal(have, cpus);
}

void want_choice(const struct sx_placement_request *req, const char *cpus)
{
	struct sx_placement *p = want_plan(req);

	want_cpus(p, cpus);
	sx_placement_free(p);
}

bool warns(const struct sx_placement *p, const char *says)
{
	for (unsigned i = 0; i < sx_placement_warnings(p); i++) {
		if (strstr(sx_placement_warning(p, i), says))
			return true;
	}
	return false;
}

static const char *const fake_names[] = {"isolated", "nohz_full", "online", "present"};

static void fake_path(const struct fake_sys *sys, const char *name, char *path, size_t size)
{
	assert_true(snprintf(path, size, "%s/%s", sys->dir, name) < (int)size);
}

void fake_sys_make(struct fake_sys *sys, const char *isolated, const char *nohz_full,
		   const char *online, const char *present)
{
	const char *text[] = {isolated, nohz_full, online, present};
	char path[128];

	strcpy(sys->dir, "/tmp/splitx-test-XXXXXX");
	assert_non_null(mkdtemp(sys->dir));
	for (unsigned i = 0; i < 4; i++) {
		FILE *f;

		if (!text[i])
			continue;
		fake_path(sys, fake_names[i], path, sizeof(path));
		f = fopen(path, "w");
		assert_non_null(f);
		assert_true(fprintf(f, "%s\n", text[i]) > 0);
		assert_int_equal(fclose(f), 0);
	}
}

void fake_sys_remove(struct fake_sys *sys)
{
	char path[128];

	for (unsigned i = 0; i < 4; i++) {
		fake_path(sys, fake_names[i], path, sizeof(path));
		unlink(path);
	}
	assert_int_equal(rmdir(sys->dir), 0);
}
