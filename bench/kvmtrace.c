// SPDX-License-Identifier: BSD-3-Clause
#include "bench/kvmtrace.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * A read that goes to user space is traced twice, first as type 0, which is no answer yet
 * (Linux, arch/x86/kvm/trace.h).
 */
#define ANSWERED "type != 0"

static int event_id(const char *root, uint64_t *id, struct sx_error *err)
{
	char path[256];
	bool read;
	FILE *f;

	snprintf(path, sizeof(path), "%s/events/kvm/kvm_mmio/id", root);
	f = fopen(path, "re");
	if (!f)
		return sx_fail(
			err, -errno,
			"cannot read %s: %s; be root, and mount debugfs on /sys/kernel/debug", path,
			strerror(errno));
	read = fscanf(f, "%" SCNu64, id) == 1;
	fclose(f);
	return read ? 0 : sx_fail(err, -EIO, "%s holds no number", path);
}

static int add_task(struct sx_kvm_trace *t, uint64_t id, pid_t task)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = id};
	int fd;

	if (t->count == SX_KVM_TRACE_MAX_TASKS)
		return -ENOSPC;
	fd = (int)syscall(SYS_perf_event_open, &attr, task, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return errno == ESRCH ? 0 : -errno; /* that one has ended meanwhile */
	t->fd[t->count++] = fd;
	return ioctl(fd, PERF_EVENT_IOC_SET_FILTER, ANSWERED) < 0 ? -errno : 0;
}

int sx_kvm_trace_open(struct sx_kvm_trace *t, const char *root, pid_t pid, struct sx_error *err)
{
	struct dirent *entry;
	char path[64];
	uint64_t id = 0;
	DIR *dir;
	int rc;

	t->count = 0;
	rc = event_id(root, &id, err);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return sx_fail(err, -errno, "cannot read %s: %s", path, strerror(errno));
	while (rc == 0 && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			rc = add_task(t, id, (pid_t)strtol(entry->d_name, NULL, 10));
	closedir(dir);
	if (rc < 0)
		sx_kvm_trace_close(t);
	return rc < 0 ? sx_fail(err, rc, "cannot count what KVM traces of process %d: %s", (int)pid,
				strerror(-rc))
		      : 0;
}

int sx_kvm_trace_read(const struct sx_kvm_trace *t, uint64_t *accesses, struct sx_error *err)
{
	*accesses = 0;
	for (unsigned i = 0; i < t->count; i++) {
		uint64_t count;

		if (read(t->fd[i], &count, sizeof(count)) != (ssize_t)sizeof(count))
			return sx_fail(err, -EIO, "a counter of KVM's tracepoint cannot be read");
		*accesses += count;
	}
	return 0;
}

void sx_kvm_trace_close(struct sx_kvm_trace *t)
{
	while (t->count)
		close(t->fd[--t->count]);
}
