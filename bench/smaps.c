// SPDX-License-Identifier: BSD-3-Clause
#include "bench/smaps.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* One line; *guest: it is about guest memory. */
static void add_line(const char *line, uint64_t guest_bytes, bool *guest, struct sx_smaps *sum)
{
	unsigned long long from, to, kib;

	if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
		*guest = strstr(line, "memfd:splitx-") != NULL ||
			 (guest_bytes && to - from >= guest_bytes);
	else if (*guest)
		return;
	else if (sscanf(line, "Private_Dirty: %llu kB", &kib) == 1)
		sum->private_kib += (double)kib;
	else if (sscanf(line, "Rss: %llu kB", &kib) == 1)
		sum->resident_kib += (double)kib;
}

void sx_smaps_sum(FILE *smaps, uint64_t guest_bytes, struct sx_smaps *sum)
{
	bool guest = false;
	char line[512];

	*sum = (struct sx_smaps){0};
	while (fgets(line, sizeof(line), smaps))
		add_line(line, guest_bytes, &guest, sum);
}

int sx_smaps_read(pid_t pid, uint64_t guest_bytes, struct sx_smaps *sum, struct sx_error *err)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return sx_fail(err, -errno, "cannot read %s: %s", path, strerror(errno));
	sx_smaps_sum(f, guest_bytes, sum);
	fclose(f);
	return 0;
}
