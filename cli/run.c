// SPDX-License-Identifier: BSD-3-Clause
/* splitx run: one guest, from its arguments to its exit status. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/machine.h"
#include "cli/options.h"
#include "cli/stats.h"
#include "cli/status.h"
#include "guestcore/placement.h"

#define RT_PRIORITY 1

enum stats_form {
	STATS_NONE,
	STATS_TEXT,
	STATS_JSON,
};

struct options {
	enum sx_mode mode;
	struct sx_placement_request place;
	uint64_t memory;
	uint64_t vcpus;
	uint64_t watchdog_ms;
	struct sx_wait_policy wait;
	bool rt;
	bool verbose;
	enum stats_form stats;
	const char *guest;
};

/* Everything that one run owns, in the order it is made. */
struct run {
	struct options opt;
	struct sx_kvm kvm;
	struct sx_placement *place;
	struct sx_sidecore *sidecore[SX_MACHINE_MAX_SIDECORES];
	unsigned sidecores;
	struct sx_machine machine;
};

static void usage(FILE *to)
{
	fputs("Usage: splitx run [OPTION]... GUEST\n"
	      "Run GUEST, an ELF64 micro-guest, on KVM.\n"
	      "\n"
	      "      --mode trap|split  who handles exits: the exiting vCPU's own thread, or a\n"
	      "                         sidecore (default: split)\n"
	      "      --vcpus N          virtual CPUs (default: one for each guest core named, or "
	      "1)\n"
	      "      --guest-cores L    run vCPUs on these CPUs, such as 2-5 or 2,4 (default: "
	      "chosen)\n"
	      "      --sidecores L      run device work on these CPUs (default: one, chosen)\n"
	      "      --smt              allow SMT siblings to be chosen\n"
	      "      --memory SIZE      guest memory, such as 64M (default: 16M)\n"
	      "      --wait POLICY      how cores wait: hot, pause or umwait; with :US they sleep\n"
	      "                         after US idle microseconds (default: hot)\n"
	      "      --rt               real-time scheduling and locked memory\n"
	      "      --watchdog MS      name a poller that holds its sidecore longer than this\n"
	      "                         (default: 500; 0: never)\n"
	      "      --stats[=json]     at the end print KVM's exit counters and ours, to stderr\n"
	      "      --verbose          say where the cores are and what spoils the placement\n"
	      "      --help             show this\n"
	      "\n"
	      "Exit status: the guest's own code (0 to 63); 64 usage; 65 GUEST is no such\n"
	      "program or does not fit; 66 GUEST is missing; 69 the host lacks something; 70 the\n"
	      "guest crashed; 71 the system failed; 74 standard output could not be written;\n"
	      "77 no permission; 128+N ended by signal N.\n",
	      to);
}

enum {
	OPT_MODE = 256,
	OPT_VCPUS,
	OPT_GUEST_CORES,
	OPT_SIDECORES,
	OPT_SMT,
	OPT_MEMORY,
	OPT_WAIT,
	OPT_RT,
	OPT_WATCHDOG,
	OPT_STATS,
	OPT_VERBOSE,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"mode", required_argument, NULL, OPT_MODE},
	{"vcpus", required_argument, NULL, OPT_VCPUS},
	{"guest-cores", required_argument, NULL, OPT_GUEST_CORES},
	{"sidecores", required_argument, NULL, OPT_SIDECORES},
	{"smt", no_argument, NULL, OPT_SMT},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"wait", required_argument, NULL, OPT_WAIT},
	{"rt", no_argument, NULL, OPT_RT},
	{"watchdog", required_argument, NULL, OPT_WATCHDOG},
	{"stats", optional_argument, NULL, OPT_STATS},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int parse_mode(struct options *o, const char *text, struct sx_error *err)
{
	if (strcmp(text, "trap") == 0)
		o->mode = SX_TRAP;
	else if (strcmp(text, "split") == 0)
		o->mode = SX_SPLIT;
	else
		return sx_fail(err, -EINVAL, "--mode is trap or split, not '%s'", text);
	return 0;
}

static int parse_stats(struct options *o, const char *text, struct sx_error *err)
{
	if (text && strcmp(text, "json") != 0)
		return sx_fail(err, -EINVAL, "--stats takes =json or nothing, not '%s'", text);
	o->stats = text ? STATS_JSON : STATS_TEXT;
	return 0;
}

static int parse_option(struct options *o, int opt, const char *arg, struct sx_error *err)
{
	switch (opt) {
	case OPT_MODE:
		return parse_mode(o, arg, err);
	case OPT_VCPUS:
		return sx_parse_number("--vcpus", arg, 1, SX_MACHINE_MAX_VCPUS, &o->vcpus, err);
	case OPT_GUEST_CORES:
		o->place.guest_cores = arg;
		return 0;
	case OPT_SIDECORES:
		o->place.sidecores = arg;
		return 0;
	case OPT_SMT:
		o->place.allow_smt = true;
		return 0;
	case OPT_MEMORY:
		return sx_parse_size("--memory", arg, &o->memory, err);
	case OPT_WAIT:
		return sx_wait_policy_parse(&o->wait, arg, err);
	case OPT_RT:
		o->rt = true;
		return 0;
	case OPT_WATCHDOG:
		return sx_parse_number("--watchdog", arg, 0, 3600000, &o->watchdog_ms, err);
	case OPT_VERBOSE:
		o->verbose = true;
		return 0;
	case OPT_STATS:
		return parse_stats(o, arg, err);
	default:
		return sx_fail(err, -EINVAL, "see splitx run --help");
	}
}

/* 0, 1 when help was printed, or a negative errno. */
static int parse(struct options *o, int argc, char **argv, struct sx_error *err)
{
	int opt, rc;

	*o = (struct options){
		.mode = SX_SPLIT, .memory = 16ull << 20, .watchdog_ms = 500, .wait = SX_WAIT_POLL};
	optind = 1;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:h", long_options, NULL)) != -1) {
		if (opt == OPT_HELP || opt == 'h') {
			usage(stdout);
			return 1;
		}
		rc = opt == ':' || opt == '?' ? sx_refuse_option("run", opt, argv, err)
					      : parse_option(o, opt, optarg, err);
		if (rc < 0)
			return rc;
	}
	if (argc - optind != 1)
		return sx_fail(err, -EINVAL,
			       argc == optind
				       ? "which guest? give an ELF64 program (splitx run --help)"
				       : "give one guest only (splitx run --help)");
	o->guest = argv[optind];
	return 0;
}

/* ---- making and unmaking ---- */

static int open_kvm(struct run *r, int *status, struct sx_error *err)
{
	int rc = sx_kvm_open(&r->kvm, err);

	if (rc < 0)
		*status = rc == -EACCES ? EX_NOPERM : EX_UNAVAILABLE;
	return rc;
}

static int plan(struct run *r, struct sx_error *err)
{
	struct sx_placement_request *req = &r->opt.place;

	req->n_guest = (unsigned)r->opt.vcpus;
	if (r->opt.mode == SX_TRAP && req->sidecores)
		return sx_fail(err, -EINVAL, "--sidecores has no meaning with --mode trap");
	if (r->opt.mode == SX_SPLIT && !req->sidecores)
		req->n_side = 1;
	return sx_placement_plan(req, &r->place, err);
}

static int start_sidecores(struct run *r, struct sx_error *err)
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

static int create_machine(struct run *r, struct sx_error *err)
{
	struct sx_machine_config c = {
		.kvm = &r->kvm,
		.guest = r->opt.guest,
		.memory = r->opt.memory,
		.vcpus = sx_placement_vcpus(r->place),
		.mode = r->opt.mode,
		.wait = r->opt.wait,
		.sidecores = r->sidecore,
		.sidecore_count = r->sidecores,
		.sidecores_sleep = r->opt.wait.idle_ns != 0,
	};

	return sx_machine_create(&r->machine, &c, err);
}

static int lock_memory(const struct run *r, struct sx_error *err)
{
	if (r->opt.rt && mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		return sx_fail(err, -errno,
			       "cannot lock memory: %s; run as root, raise the memlock limit, or "
			       "leave out --rt",
			       strerror(errno));
	return 0;
}

static int build(struct run *r, int *status, struct sx_error *err)
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
		rc = create_machine(r, err);
	return rc;
}

static void unbuild(struct run *r)
{
	if (r->machine.vm.kvm)
		sx_machine_destroy(&r->machine);
	while (r->sidecores)
		sx_sidecore_stop(r->sidecore[--r->sidecores]);
	sx_placement_free(r->place);
	sx_kvm_close(&r->kvm);
}

/* ---- running ---- */

static unsigned cpu_of_vcpu(const struct run *r, unsigned vcpu)
{
	return sx_placement_guest_core(r->place, sx_placement_core_of(r->place, vcpu));
}

static void tell_placement(const struct run *r)
{
	for (unsigned i = 0; i < r->machine.config.vcpus; i++)
		fprintf(stderr, "splitx run: vCPU %u runs on CPU %u\n", i, cpu_of_vcpu(r, i));
	for (unsigned i = 0; i < r->sidecores; i++)
		fprintf(stderr, "splitx run: sidecore %u is CPU %u\n", i,
			sx_placement_sidecore(r->place, i));
	for (unsigned i = 0; i < sx_placement_warnings(r->place); i++)
		fprintf(stderr, "splitx run: warning: %s\n", sx_placement_warning(r->place, i));
}

static int guest_status(const struct sx_machine *m)
{
	uint32_t code = m->debug_exit.code;

	return code > SX_STATUS_GUEST_MAX ? SX_STATUS_GUEST_MAX : (int)code;
}

/* What the run comes to: by signal @sig, or by its end @rc. */
static int judge(const struct run *r, const struct sx_console *console, int sig, int rc,
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
	*status = guest_status(&r->machine);
	return 0;
}

static int execute(struct run *r, int *status, struct sx_error *err)
{
	struct sx_console console;
	int cpus[SX_MACHINE_MAX_VCPUS];
	struct sx_machine_run run;
	int rc, sig = 0;
	uint64_t begin;

	for (unsigned i = 0; i < r->machine.config.vcpus; i++)
		cpus[i] = (int)cpu_of_vcpu(r, i);
	rc = sx_console_open(&console, &r->machine, r->sidecore, r->sidecores,
			     r->opt.watchdog_ms * 1000000u, err);
	if (rc < 0)
		return rc;
	begin = sx_now_ns();
	rc = sx_machine_start(&run, &r->machine, cpus, r->opt.rt ? RT_PRIORITY : 0, err);
	if (rc == 0) {
		sig = sx_console_serve(&console, run.done_fd);
		rc = sx_machine_join(&run, err);
	}
	begin = sx_now_ns() - begin;
	if (!sig)
		sig = sx_console_finish(&console);
	sx_console_close(&console);
	if (r->opt.stats == STATS_TEXT)
		sx_stats_print(stderr, &r->machine, begin);
	else if (r->opt.stats == STATS_JSON && sx_stats_print_json(stderr, &r->machine, begin) < 0)
		return sx_fail(err, -EIO, "cannot print the statistics");
	return judge(r, &console, sig, rc, status, err);
}

int sx_cmd_run(int argc, char **argv)
{
	struct sx_error err = {0};
	struct run *r = calloc(1, sizeof(*r));
	int status = -1;
	int rc;

	if (!r)
		return EX_OSERR;
	r->kvm.fd = -1;
	rc = parse(&r->opt, argc, argv, &err);
	if (rc == 0) {
		rc = sx_console_block_signals(&err);
		if (rc == 0)
			rc = build(r, &status, &err);
		if (rc == 0) {
			if (r->opt.verbose)
				tell_placement(r);
			rc = execute(r, &status, &err);
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
