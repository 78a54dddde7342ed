// SPDX-License-Identifier: BSD-3-Clause
#include "cli/device_core.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/options.h"

#define MAX_CPU 1000000

/* The number of @plugged[@i] among those of its option. */
static unsigned number_of(const struct sx_plugged *plugged, unsigned i)
{
	unsigned number = 0;

	for (unsigned k = 0; k < i; k++)
		number += plugged[k].plug == plugged[i].plug;
	return number;
}

static struct sx_plugged *find(struct sx_plugged *plugged, unsigned count, const char *text,
			       size_t len)
{
	char name[64];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s%u", plugged[i].plug->option,
			 number_of(plugged, i));
		if (strlen(name) == len && memcmp(name, text, len) == 0)
			return &plugged[i];
	}
	return NULL;
}

int sx_device_core_apply(struct sx_plugged *plugged, unsigned count, const char *text,
			 struct sx_error *err)
{
	size_t len = strcspn(text, "=");
	struct sx_plugged *p = find(plugged, count, text, len);
	uint64_t cpu;
	int rc;

	if (!text[len])
		return sx_fail(err, -EINVAL,
			       "--device-core wants DEVICE=CPU, such as net0=3, not '%s'", text);
	if (!p)
		return sx_fail(err, -EINVAL,
			       "--device-core: there is no device '%.*s'; the first --net is net0, "
			       "the second --disk is disk1",
			       (int)len, text);
	rc = sx_parse_number("the CPU of --device-core", &text[len + 1], 0, MAX_CPU, &cpu, err);
	if (rc < 0)
		return rc;
	p->pinned = true;
	p->cpu = (int)cpu;
	return 0;
}
