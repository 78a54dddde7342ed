// SPDX-License-Identifier: BSD-3-Clause
/* splitx run: one guest, from its arguments to its exit status. */
#include "cli/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cli/commands.h"
#include "cli/stats_print.h"
#include "cli/status.h"

#define RT_PRIORITY 1

/* ---- making and unmaking ---- */

static int open_kvm(struct sx_run *r, int *status, struct sx_error *err)
{
	int rc = sx_kvm_open(&r->kvm, err);

	if (rc < 0)
		*status = rc == -EACCES ? EX_NOPERM : EX_UNAVAILABLE;
	return rc;
}

static int plan(struct sx_run *r, struct sx_error *err)
{
	struct sx_placement_request *req = &r->opt.place;

	req->n_guest = (unsigned)r->opt.vcpus;
	if (r->opt.mode == SX_TRAP && req->sidecores)
		return sx_fail(err, -EINVAL, "--sidecores has no meaning with --mode trap");
	if (r->opt.mode == SX_SPLIT && !req->sidecores)
		req->n_side = 1;
	return sx_placement_plan(req, &r->place, err);
}

static int start_sidecores(struct sx_run *r, struct sx_error *err)
{
	unsigned wanted = r->opt.mode == SX_SPLIT ? sx_placement_sidecores(r->place) : 0;

	if (wanted > SX_MACHINE_MAX_SIDECORES)
		return sx_fail(err, -EINVAL, "a machine uses at most %d sidecores; name fewer",
			       SX_MACHINE_MAX_SIDECORES);
	for (; r->sidecores < wanted; r->sidecores++) {
		struct sx_sidecore_config c =
			SX_SIDECORE_POLL((int)sx_placement_sidecore(r->place, r->sidecores));
		int rc;

		c.wait = r->opt.wait;
		c.rt_priority = r->opt.rt ? RT_PRIORITY : 0;
		rc = sx_sidecore_start(&r->sidecore[r->sidecores], &c, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int lock_memory(const struct sx_run *r, struct sx_error *err)
{
	if (r->opt.rt && mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		return sx_fail(err, -errno,
			       "cannot lock memory: %s; run as root, raise the memlock limit, or "
			       "leave out --rt",
			       strerror(errno));
	return 0;
}

static int build(struct sx_run *r, int *status, struct sx_error *err)
{
	int rc = open_kvm(r, status, err);

	if (rc == 0)
		rc = plan(r, err);
	if (rc == 0)
		rc = sx_placement_bind_others(r->place, err);
	if (rc == 0)
		rc = lock_memory(r, err);
	if (rc == 0)
		rc = sx_vcpu_set_up_signal(err);
	if (rc == 0)
		rc = start_sidecores(r, err);
	if (rc == 0)
		rc = r->kind->create(r, err);
	return rc;
}

static void unbuild(struct sx_run *r)
{
	r->kind->destroy(r);
	while (r->sidecores)
		sx_sidecore_stop(r->sidecore[--r->sidecores]);
	sx_placement_free(r->place);
	sx_kvm_close(&r->kvm);
}

/* ---- running ---- */

void sx_run_warn(const char *text)
{
	fprintf(stderr, "splitx run: warning: %s\n", text);
}

static unsigned cpu_of_vcpu(const struct sx_run *r, unsigned vcpu)
{
	return sx_placement_guest_core(r->place, sx_placement_core_of(r->place, vcpu));
}

static void tell_placement(const struct sx_run *r)
{
	for (unsigned i = 0; i < r->vcpus; i++)
		fprintf(stderr, "splitx run: vCPU %u runs on CPU %u\n", i, cpu_of_vcpu(r, i));
	for (unsigned i = 0; i < r->sidecores; i++)
		fprintf(stderr, "splitx run: sidecore %u is CPU %u\n", i,
			sx_placement_sidecore(r->place, i));
	for (unsigned i = 0; i < sx_placement_warnings(r->place); i++)
		sx_run_warn(sx_placement_warning(r->place, i));
}

/* What the run comes to: by signal @sig, or by its end @rc. */
static int judge(const struct sx_run *r, const struct sx_console *console, int sig, int rc,
		 int *status, struct sx_error *err)
{
	if (sig > 0) {
		*status = SX_STATUS_SIGNAL(sig);
		return rc < 0 ? rc : 0;
	}
	if (rc < 0)
		return rc;
	if (console->out_error) {
		*status = EX_IOERR;
		return sx_fail(err, -console->out_error,
			       "what the guest said cannot be written to standard output: %s",
			       strerror(console->out_error));
	}
	*status = r->kind->status(r);
	return 0;
}

static int print_stats(const struct sx_run *r)
{
	json_t *stats = sx_stats_take(&r->view);
	int rc = -ENOMEM;

	if (stats)
		rc = r->opt.stats == SX_STATS_JSON ? sx_stats_write(stderr, stats)
						   : sx_stats_print(stderr, stats);
	json_decref(stats);
	return rc;
}

static int execute(struct sx_run *r, int *status, struct sx_error *err)
{
	struct sx_console console;
	int cpus[SX_MACHINE_MAX_VCPUS];
	struct sx_machine_run run;
	int rc, sig = 0;

	for (unsigned i = 0; i < r->vcpus; i++)
		cpus[i] = (int)cpu_of_vcpu(r, i);
	rc = sx_console_open(&console, &r->console, r->sidecore, r->sidecores,
			     r->opt.watchdog_ms * 1000000u, err);
	if (rc < 0)
		return rc;
	console.control = &r->control;
	r->view.start = ++r->executions;
	r->view.begin_ns = sx_now_ns();
	rc = sx_machine_run_start(&run, r->vcpu, r->vcpus, cpus, r->opt.rt ? RT_PRIORITY : 0, err);
	if (rc == 0) {
		sig = sx_console_serve(&console, run.done_fd);
		rc = sx_machine_run_join(&run, err);
	}
	r->view.end_ns = sx_now_ns();
	if (!sig)
		sig = sx_console_finish(&console);
	sx_console_close(&console);
	if (r->opt.stats && print_stats(r) < 0)
		return sx_fail(err, -EIO, "cannot print the statistics");
	return judge(r, &console, sig, rc, status, err);
}

/* Run the guest, and again as often as it wants. */
static int execute_all(struct sx_run *r, int *status, struct sx_error *err)
{
	int rc;

	while ((rc = execute(r, status, err)) == 0 && *status == SX_RUN_AGAIN) {
		r->kind->destroy(r);
		rc = r->kind->create(r, err);
		if (rc < 0)
			break;
	}
	return rc;
}

int sx_cmd_run(int argc, char **argv)
{
	struct sx_error err = {0};
	struct sx_run *r = calloc(1, sizeof(*r));
	int status = -1;
	int rc;

	if (!r)
		return EX_OSERR;
	r->kvm.fd = -1;
	rc = sx_run_parse(&r->opt, argc, argv, &err);
	r->kind = r->opt.kernel.path ? &sx_run_kernel : &sx_run_micro;
	if (rc == 0) {
		rc = sx_console_block_signals(&err);
		if (rc == 0)
			rc = build(r, &status, &err);
		if (rc == 0) {
			if (r->opt.verbose)
				tell_placement(r);
			sx_run_open_control(r);
			rc = execute_all(r, &status, &err);
			sx_control_close(&r->control);
		}
		unbuild(r);
	} else if (rc == 1) {
		status = 0;
	}
	if (rc < 0) {
		fprintf(stderr, "splitx run: %s\n", err.text[0] ? err.text : strerror(-rc));
		if (status < 0)
			status = sx_status_of_error(rc);
	}
	free(r);
	return status;
}
