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
 * (Linux, arch/x86/kvm/trace.h). The first serial port is how the benchmark talks to its guest.
 */
static const struct event {
	const char *name, *filter;
} events[] = {
	{"kvm_mmio", "type != 0"},
	{"kvm_pio", "port < 0x3f8 || port > 0x3ff"},
};

#define EVENTS (sizeof(events) / sizeof(events[0]))

static int event_id(const char *root, const char *name, uint64_t *id, struct sx_error *err)
{
	char path[256];
	bool read;
	FILE *f;

	snprintf(path, sizeof(path), "%s/events/kvm/%s/id", root, name);
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

static int add_task(struct sx_kvm_trace *t, uint64_t id, const char *filter, pid_t task)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = id};
	int fd;

	if (t->count == SX_KVM_TRACE_MAX)
		return -ENOSPC;
	fd = (int)syscall(SYS_perf_event_open, &attr, task, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return errno == ESRCH ? 0 : -errno; /* that one has ended meanwhile */
	t->fd[t->count++] = fd;
	return ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) < 0 ? -errno : 0;
}

static int add_event(struct sx_kvm_trace *t, const struct event *e, const char *root, pid_t pid,
		     struct sx_error *err)
{
	struct dirent *entry;
	char path[64];
	uint64_t id = 0;
	int rc = event_id(root, e->name, &id, err);
	DIR *dir;

	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return sx_fail(err, -errno, "cannot read %s: %s", path, strerror(errno));
	while (rc == 0 && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			rc = add_task(t, id, e->filter, (pid_t)strtol(entry->d_name, NULL, 10));
	closedir(dir);
	if (rc < 0)
		return sx_fail(err, rc, "cannot count what KVM traces of process %d: %s", (int)pid,
			       strerror(-rc));
	return 0;
}

int sx_kvm_trace_open(struct sx_kvm_trace *t, const char *root, pid_t pid, struct sx_error *err)
{
	int rc = 0;

	t->count = 0;
	for (size_t i = 0; rc == 0 && i < EVENTS; i++)
		rc = add_event(t, &events[i], root, pid, err);
	if (rc < 0)
		sx_kvm_trace_close(t);
	return rc;
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
