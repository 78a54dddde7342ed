// SPDX-License-Identifier: BSD-3-Clause
#include "cli/machine_run.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/thread.h"

static void *vcpu_thread(void *arg)
{
	struct sx_machine_thread *t = arg;
	const uint64_t one = 1;

	t->end = sx_vcpu_run(t->vcpu, &t->err);
	/* An eventfd takes 2^64 - 2 of these. */
	if (write(t->run->done_fd, &one, sizeof(one)) != sizeof(one))
		t->end = -EIO;
	return NULL;
}

static int start_thread(struct sx_machine_thread *t, int rt_priority, struct sx_error *err)
{
	int rc = sx_thread_start(&t->id, t->cpu, rt_priority, vcpu_thread, t);

	if (rc < 0)
		return sx_fail(err, rc, "cannot start the thread of vCPU %u on CPU %d: %s",
			       t->vcpu->index, t->cpu, strerror(-rc));
	return 0;
}

int sx_machine_run_start(struct sx_machine_run *run, struct sx_vcpu *vcpu, unsigned count,
			 const int *cpus, int rt_priority, struct sx_error *err)
{
	int rc;

	memset(run, 0, sizeof(*run));
	run->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (run->done_fd < 0)
		return sx_fail(err, -errno, "cannot create an eventfd: %s", strerror(errno));
	for (unsigned i = 0; i < count; i++) {
		struct sx_machine_thread *t = &run->thread[i];

		*t = (struct sx_machine_thread){.run = run, .vcpu = &vcpu[i], .cpu = cpus[i]};
		rc = start_thread(t, rt_priority, err);
		if (rc < 0) {
			sx_machine_run_join(run, NULL);
			return rc;
		}
		run->started++;
	}
	return 0;
}

int sx_machine_run_join(struct sx_machine_run *run, struct sx_error *err)
{
	int end = SX_VCPU_STOPPED;

	for (unsigned i = 0; i < run->started; i++)
		sx_vcpu_stop(run->thread[i].vcpu, run->thread[i].id);
	for (unsigned i = 0; i < run->started; i++) {
		pthread_join(run->thread[i].id, NULL);
		/* Had it ended by itself, the stop would end its next run. */
		sx_vcpu_forget_stop(run->thread[i].vcpu);
	}
	for (unsigned i = 0; i < run->started; i++) {
		const struct sx_machine_thread *t = &run->thread[i];

		if (t->end < 0 && end >= 0)
			end = sx_fail(err, t->end, "%s", t->err.text);
		else if (t->end == SX_VCPU_SINK && end >= 0)
			end = SX_VCPU_SINK;
	}
	close(run->done_fd);
	run->started = 0;
	return end;
}
