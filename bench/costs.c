// SPDX-License-Identifier: BSD-3-Clause
#include "bench/costs.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/paths.h"
#include "bench/smaps.h"

/* ---- idle pollers ---- */

#define IDLE_RING_ORDER 4
#define IDLE_TIME_NS    1000000u
#define IDLE_WINDOWS    31u

struct idle_rings {
	unsigned count;
	struct sx_memmap map;
	struct sx_region memory;
	struct sx_ring_server *server;
};

static enum sx_ring_verdict never(void *ctx, const struct sx_cell *msg, struct sx_cell *reply)
{
	(void)ctx;
	(void)msg;
	(void)reply;
	return SX_RING_POSTED;
}

static int idle_rings_open(struct idle_rings *r, unsigned count, struct sx_error *err)
{
	static const struct sx_ring_handler handler = {.handle = never};
	const size_t stride = 4096;
	int rc;

	memset(r, 0, sizeof(*r));
	rc = sx_memmap_init(&r->map);
	if (rc < 0)
		return rc;
	r->server = calloc(count, sizeof(*r->server));
	rc = r->server ? sx_region_create(&r->memory, "idle-rings", count * stride, 0, err)
		       : -ENOMEM;
	if (rc == 0)
		rc = sx_memmap_add(&r->map, 0, count * stride, r->memory.base, 0, err);
	for (; rc == 0 && r->count < count; r->count++)
		rc = sx_ring_server_init(&r->server[r->count], "idle", &r->map, r->count * stride,
					 IDLE_RING_ORDER, 0, &handler, err);
	return rc;
}

static void idle_rings_close(struct idle_rings *r)
{
	for (unsigned i = 0; i < r->count; i++)
		sx_sidecore_remove(&r->server[i].poller);
	free(r->server);
	sx_memmap_destroy(&r->map);
	sx_region_destroy(&r->memory);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* ns for each turn of the sidecore's loop: the median of short windows, for it may be preempted. */
static double turn_ns(const struct sx_sidecore *sc)
{
	const struct timespec while_ = {.tv_nsec = IDLE_TIME_NS};
	double ns[IDLE_WINDOWS];

	for (unsigned i = 0; i < IDLE_WINDOWS; i++) {
		struct sx_sidecore_stats a, b;
		uint64_t begin = sx_now_ns(), end;

		sx_sidecore_stats(sc, &a);
		nanosleep(&while_, NULL);
		sx_sidecore_stats(sc, &b);
		end = sx_now_ns();
		ns[i] = (double)(end - begin) / (double)(b.turns - a.turns + 1);
	}
	qsort(ns, IDLE_WINDOWS, sizeof(ns[0]), ascending);
	return ns[IDLE_WINDOWS / 2];
}

int sx_cost_idle_poller(struct sx_rig *rig, unsigned count, double *ns, struct sx_error *err)
{
	double before = turn_ns(rig->sidecore);
	struct idle_rings r;
	int rc = idle_rings_open(&r, count, err);

	for (unsigned i = 0; rc == 0 && i < r.count; i++)
		rc = sx_sidecore_add(rig->sidecore, &r.server[i].poller);
	if (rc == 0)
		*ns = (turn_ns(rig->sidecore) - before) / count;
	idle_rings_close(&r);
	return rc;
}

/* ---- a process ---- */

/* As posix_spawn(), but the child may use all CPUs that we might before the rig bound us. */
static int spawn(const struct sx_rig *rig, pid_t *pid, const posix_spawn_file_actions_t *actions,
		 const char *const *argv)
{
	cpu_set_t bound;
	int rc;

	if (sched_getaffinity(0, sizeof(bound), &bound) < 0 ||
	    sched_setaffinity(0, sizeof(rig->affinity), &rig->affinity) < 0)
		return -errno;
	/* posix_spawn() takes pointers to non-const, and does not write through them. */
	rc = -posix_spawn(pid, argv[0], actions, NULL, (char *const *)(uintptr_t)argv, environ);
	if (sched_setaffinity(0, sizeof(bound), &bound) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

/* Start `splitx run` with the guest @name; its standard error comes to *err_fd. */
static int start(const struct sx_rig *rig, const char *name, int *err_fd, pid_t *pid,
		 struct sx_error *err)
{
	char self[4096], guest[4096], cores[16], side[16];
	const char *argv[] = {self,  "run",         "--stats=json", "--guest-cores",
			      cores, "--sidecores", side,           guest,
			      NULL};
	posix_spawn_file_actions_t actions;
	int fd[2];
	int rc = sx_path_self(self, sizeof(self), err);

	if (rc == 0)
		rc = sx_path_guest(name, guest, sizeof(guest), err);
	if (rc < 0)
		return rc;
	snprintf(cores, sizeof(cores), "%d", rig->guest_cpu);
	snprintf(side, sizeof(side), "%d", rig->side_cpu);
	if (pipe2(fd, O_CLOEXEC) < 0)
		return sx_fail(err, -errno, "cannot create a pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fd[1], 2);
	rc = spawn(rig, pid, &actions, argv);
	posix_spawn_file_actions_destroy(&actions);
	close(fd[1]);
	*err_fd = fd[0];
	if (rc < 0) {
		close(fd[0]);
		return sx_fail(err, rc, "cannot start '%s': %s", self, strerror(-rc));
	}
	return 0;
}

/* End it if it still runs, and take all it says. The text is cut at @size. */
static int finish(pid_t pid, int fd, int sig, char *text, size_t size)
{
	size_t used = 0;
	int status;
	ssize_t n;

	if (sig)
		kill(pid, sig);
	while ((n = read(fd, text + used, size - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	close(fd);
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

static int measure_memory(const struct sx_rig *rig, struct sx_cost_process *cost,
			  struct sx_error *err)
{
	const struct timespec settle = {.tv_nsec = 300000000};
	struct sx_smaps memory = {0};
	char text[16384];
	pid_t pid = -1;
	int fd = -1;
	int rc = start(rig, "spin", &fd, &pid, err);

	if (rc < 0)
		return rc;
	nanosleep(&settle, NULL);
	rc = sx_smaps_read(pid, 0, &memory, err);
	cost->private_kib = memory.private_kib;
	cost->resident_kib = memory.resident_kib;
	if (finish(pid, fd, SIGTERM, text, sizeof(text)) != 128 + SIGTERM && rc == 0)
		rc = sx_fail(err, -EIO, "splitx run did not run: %.200s", text);
	return rc;
}

static int first_exit_ns(const char *text, uint64_t *ns)
{
	/* Warnings may stand before the statistics. */
	const char *json = strchr(text, '{');
	json_t *root = json ? json_loads(json, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	json_t *value =
		json_object_get(json_array_get(json_object_get(root, "vcpus"), 0), "first_exit_ns");

	*ns = (uint64_t)json_integer_value(value);
	json_decref(root);
	return *ns ? 0 : -EIO;
}

static int measure_start(const struct sx_rig *rig, double *ms, struct sx_error *err)
{
	uint64_t begin = sx_now_ns(), first;
	char text[16384];
	pid_t pid = -1;
	int fd = -1;
	int rc = start(rig, "first", &fd, &pid, err);

	if (rc < 0)
		return rc;
	if (finish(pid, fd, 0, text, sizeof(text)) != 0 || first_exit_ns(text, &first) < 0)
		return sx_fail(err, -EIO, "splitx run did not run: %.200s", text);
	*ms = (double)(first - begin) / 1e6;
	return 0;
}

int sx_cost_process(const struct sx_rig *rig, unsigned starts, struct sx_cost_process *cost,
		    struct sx_error *err)
{
	double *ms = calloc(starts, sizeof(*ms));
	int rc = ms ? measure_memory(rig, cost, err) : -ENOMEM;

	for (unsigned i = 0; rc == 0 && i < starts; i++)
		rc = measure_start(rig, &ms[i], err);
	if (rc == 0) {
		qsort(ms, starts, sizeof(*ms), ascending);
		cost->first_exit_ms = ms[starts / 2];
		cost->starts = starts;
	}
	free(ms);
	return rc;
}
