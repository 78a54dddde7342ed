// SPDX-License-Identifier: BSD-3-Clause
#include "bench/kvmcount.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/control_client.h"

static const char *const file_names[SX_KVM_COUNTERS] = {
	[SX_KVM_EXITS] = "exits",
	[SX_KVM_IO] = "io_exits",
	[SX_KVM_MMIO] = "mmio_exits",
	[SX_KVM_HALT] = "halt_exits",
	[SX_KVM_INTERRUPT] = "irq_exits",
	[SX_KVM_IRQ_WINDOW] = "irq_window_exits",
	[SX_KVM_INJECTED] = "irq_injections",
};

/* The directory of the process's VM, the first one; its path goes into @path. */
static int find_directory(const char *root, pid_t pid, char *path, size_t size,
			  struct sx_error *err)
{
	char prefix[16];
	int length = snprintf(prefix, sizeof(prefix), "%d-", (int)pid);
	int rc = -ESRCH;
	struct dirent *entry;
	DIR *dir = opendir(root);

	if (!dir)
		return sx_fail(err, -errno,
			       "cannot read KVM's counters in %s: %s; be root, and mount debugfs "
			       "on /sys/kernel/debug",
			       root, strerror(errno));
	while (rc < 0 && (entry = readdir(dir)))
		if (strncmp(entry->d_name, prefix, (size_t)length) == 0 &&
		    (size_t)snprintf(path, size, "%s/%s", root, entry->d_name) < size)
			rc = 0;
	closedir(dir);
	if (rc < 0)
		return sx_fail(err, rc, "process %d has no VM among KVM's counters in %s", (int)pid,
			       root);
	return 0;
}

static int read_counter(const char *dir, const char *name, uint64_t *value, struct sx_error *err)
{
	char path[512];
	bool read;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return sx_fail(err, -errno, "cannot read KVM's counter %s: %s", path,
			       strerror(errno));
	read = fscanf(f, "%" SCNu64, value) == 1;
	fclose(f);
	return read ? 0 : sx_fail(err, -EIO, "KVM's counter %s holds no number", path);
}

int sx_kvm_counts_read(const char *root, pid_t pid, struct sx_kvm_counts *counts,
		       struct sx_error *err)
{
	char dir[400];
	int rc = find_directory(root, pid, dir, sizeof(dir), err);

	for (unsigned i = 0; rc == 0 && i < SX_KVM_COUNTERS; i++)
		rc = read_counter(dir, file_names[i], &counts->value[i], err);
	return rc;
}

/* @stats: docs/stats.md. */
static int take_counts(const json_t *stats, unsigned vcpu, struct sx_kvm_counts *counts,
		       struct sx_error *err)
{
	const json_t *kvm =
		json_object_get(json_array_get(json_object_get(stats, "vcpus"), vcpu), "kvm");

	for (unsigned i = 0; i < SX_KVM_COUNTERS; i++) {
		const json_t *value = json_object_get(kvm, file_names[i]);

		if (!json_is_integer(value))
			return sx_fail(err, -ENODATA, "KVM's counter %s of vCPU %u is not told",
				       file_names[i], vcpu);
		counts->value[i] = (uint64_t)json_integer_value(value);
	}
	return 0;
}

int sx_kvm_counts_of_vcpu(int control_fd, unsigned vcpu, int timeout_ms,
			  struct sx_kvm_counts *counts, struct sx_error *err)
{
	json_t *stats = NULL;
	int rc = sx_control_ask(control_fd, "stats", timeout_ms, &stats, err);

	if (rc == -ECONNRESET)
		return sx_fail(err, rc, "the guest ended before its exits were counted");
	if (rc == 0)
		rc = take_counts(stats, vcpu, counts, err);
	json_decref(stats);
	return rc;
}

struct sx_kvm_counts sx_kvm_counts_since(const struct sx_kvm_counts *before,
					 const struct sx_kvm_counts *after)
{
	struct sx_kvm_counts since;

	for (unsigned i = 0; i < SX_KVM_COUNTERS; i++)
		since.value[i] = after->value[i] - before->value[i];
	return since;
}
