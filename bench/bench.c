// SPDX-License-Identifier: BSD-3-Clause
/* splitx bench: which suite, its options, and where its results go. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/boot.h"
#include "bench/exits.h"
#include "bench/linux_io.h"
#include "bench/nested.h"
#include "bench/nested_linux.h"
#include "bench/plot.h"
#include "bench/suite.h"
#include "bench/virtio.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/status.h"

typedef int suite_fn(const struct sx_bench_options *opt, struct sx_report *r, struct sx_error *err);

struct suite {
	const char *name;
	const char *help; /* for --help: lines after the first are indented as far */
	const char *title;
	suite_fn *run;       /* NULL: it needs a kernel */
	suite_fn *run_linux; /* with --kernel and --initrd; NULL: it boots none */
};

static const struct suite suites[] = {
	{"exits",
	 "what each way from guest to hypervisor and back costs, trapped\n"
	 "                       and split",
	 "What an exit costs, trapped and split", sx_exits_run, NULL},
	{"virtio",
	 "a disk and a network device: of a micro-guest, the network beside DPDK's\n"
	 "                       testpmd; with --kernel and --initrd of a Linux guest, by\n"
	 "                       fio and iperf3, beside QEMU's",
	 "What a request or a packet costs, trapped and split", sx_virtio_run, sx_linux_io_run},
	{"nested",
	 "an L2 whose L1 is a micro-guest, by VMX on separate cores; with --kernel\n"
	 "                       and --initrd of a Linux guest that runs an L2, by KVM's own\n"
	 "                       nesting",
	 "What an operation of L2 costs", sx_nested_run, sx_nested_linux_run},
	{"boot",
	 "how long Linux takes to its init, beside QEMU's microvm, and the\n"
	 "                       VMM's memory; needs --kernel and --initrd",
	 "From the command line to the guest's init", NULL, sx_boot_run},
};

#define SUITES (sizeof(suites) / sizeof(suites[0]))

struct options {
	const struct suite *suite;
	suite_fn *run;
	const char *json;
	const char *svg;
	struct sx_bench_options bench;
};

static void usage(FILE *to)
{
	fputs("Usage: splitx bench SUITE [OPTION]...\n"
	      "Measure in one run, on this machine's KVM, with the contestants alternating.\n"
	      "\n"
	      "Suites:\n",
	      to);
	for (size_t i = 0; i < SUITES; i++)
		fprintf(to, "  %-20s %s\n", suites[i].name, suites[i].help);
	fputs("\n"
	      "Options:\n"
	      "      --json FILE      write the results as JSON\n"
	      "      --svg FILE       draw them (needs gnuplot)\n"
	      "      --rounds N       how often the contestants alternate (default: 10)\n"
	      "      --guest-cores L  the guest's CPU (default: chosen)\n"
	      "      --sidecores L    the sidecore's CPU (default: chosen)\n"
	      "      --kernel FILE    the Linux kernel of suites that boot one\n"
	      "      --initrd FILE    its initramfs, as bench/lab.sh makes it\n"
	      "      --mode MODE      measure there in this mode only: trap, split or qemu\n"
	      "      --wait POLICY    how splitx waits there, as splitx run has it (default: hot)\n"
	      "      --where NAME     what the report calls this machine (default: native)\n"
	      "      --help           show this\n"
	      "\n"
	      "Exit status: 0 measured; 64 usage; 69 the host lacks something; 70 a benchmark\n"
	      "failed; 71 the system failed; 73 a file could not be written; 77 no permission.\n",
	      to);
}

enum {
	OPT_JSON = 256,
	OPT_SVG,
	OPT_ROUNDS,
	OPT_GUEST_CORES,
	OPT_SIDECORES,
	OPT_KERNEL,
	OPT_INITRD,
	OPT_MODE,
	OPT_WAIT,
	OPT_WHERE,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"json", required_argument, NULL, OPT_JSON},
	{"svg", required_argument, NULL, OPT_SVG},
	{"rounds", required_argument, NULL, OPT_ROUNDS},
	{"guest-cores", required_argument, NULL, OPT_GUEST_CORES},
	{"sidecores", required_argument, NULL, OPT_SIDECORES},
	{"kernel", required_argument, NULL, OPT_KERNEL},
	{"initrd", required_argument, NULL, OPT_INITRD},
	{"mode", required_argument, NULL, OPT_MODE},
	{"wait", required_argument, NULL, OPT_WAIT},
	{"where", required_argument, NULL, OPT_WHERE},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int parse_mode(struct options *o, const char *text, struct sx_error *err)
{
	if (strcmp(text, "trap") != 0 && strcmp(text, "split") != 0 && strcmp(text, "qemu") != 0)
		return sx_fail(err, -EINVAL, "--mode is trap, split or qemu, not '%s'", text);
	o->bench.mode = text;
	return 0;
}

static int parse_option(struct options *o, int opt, const char *arg, struct sx_error *err)
{
	uint64_t rounds;
	int rc;

	switch (opt) {
	case OPT_JSON:
		o->json = arg;
		return 0;
	case OPT_SVG:
		o->svg = arg;
		return 0;
	case OPT_ROUNDS:
		rc = sx_parse_number("--rounds", arg, 1, 1000, &rounds, err);
		if (rc == 0)
			o->bench.rounds = (unsigned)rounds;
		return rc;
	case OPT_GUEST_CORES:
		o->bench.guest_cores = arg;
		return 0;
	case OPT_SIDECORES:
		o->bench.sidecores = arg;
		return 0;
	case OPT_KERNEL:
		o->bench.kernel = arg;
		return 0;
	case OPT_INITRD:
		o->bench.initrd = arg;
		return 0;
	case OPT_MODE:
		return parse_mode(o, arg, err);
	case OPT_WAIT:
		o->bench.wait = arg;
		return 0;
	case OPT_WHERE:
		o->bench.where = arg;
		return 0;
	default:
		return sx_fail(err, -EINVAL, "see splitx bench --help");
	}
}

static const struct suite *find_suite(const char *name)
{
	for (size_t i = 0; i < SUITES; i++)
		if (strcmp(name, suites[i].name) == 0)
			return &suites[i];
	return NULL;
}

/* With a kernel, the suite's part that boots one is run. */
static int choose_suite(struct options *o, const char *name, struct sx_error *err)
{
	bool with_kernel = o->bench.kernel || o->bench.initrd;

	o->suite = find_suite(name);
	if (!o->suite)
		return sx_fail(err, -EINVAL,
			       "there is no suite '%s'; splitx bench --help lists them", name);
	if (with_kernel && !o->suite->run_linux)
		return sx_fail(err, -EINVAL, "the suite %s boots no kernel; leave it out", name);
	if (!o->suite->run)
		with_kernel = true;
	if (with_kernel && (!o->bench.kernel || !o->bench.initrd))
		return sx_fail(err, -EINVAL,
			       "the suite %s needs --kernel and --initrd to boot a kernel; make "
			       "bench-lab has both",
			       name);
	o->run = with_kernel ? o->suite->run_linux : o->suite->run;
	return 0;
}

/* 0, 1 when help was printed, or a negative errno. */
static int parse(struct options *o, int argc, char **argv, struct sx_error *err)
{
	int opt, rc;

	*o = (struct options){.bench = {.rounds = 10, .where = "native"}};
	optind = 1;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (opt == OPT_HELP || opt == 'h') {
			usage(stdout);
			return 1;
		}
		rc = opt == ':' || opt == '?' ? sx_refuse_option("bench", opt, argv, err)
					      : parse_option(o, opt, optarg, err);
		if (rc < 0)
			return rc;
	}
	if (argc - optind != 1)
		return sx_fail(err, -EINVAL, "which suite? splitx bench --help lists them");
	return choose_suite(o, argv[optind], err);
}

/* What can be known to fail later is found out before minutes are spent on measuring. */
static int check_output(const struct options *o, struct sx_error *err)
{
	return o->svg ? sx_plot_available(err) : 0;
}

static int publish(const struct options *o, const struct sx_report *r, int *status,
		   struct sx_error *err)
{
	struct sx_term term = sx_term_of(stdout);
	int rc = sx_report_print(r, stdout, &term);

	if (rc == 0 && o->json)
		rc = sx_report_write_json(r, o->json, err);
	if (rc == 0 && o->svg)
		rc = sx_plot_svg(r, o->svg, err);
	if (rc < 0)
		*status = EX_CANTCREAT;
	return rc;
}

static int run(const struct options *o, int *status, struct sx_error *err)
{
	struct sx_report *r = malloc(sizeof(*r));
	int rc = r ? check_output(o, err) : -ENOMEM;

	if (rc < 0) {
		*status = EX_UNAVAILABLE;
		goto out;
	}
	sx_report_init(r, o->suite->name, o->suite->title);
	rc = o->run(&o->bench, r, err);
	if (rc == -EIO)
		*status = EX_SOFTWARE;
	else if (rc == -ENOENT)
		*status = EX_UNAVAILABLE;
	if (rc == 0)
		rc = publish(o, r, status, err);
out:
	free(r);
	return rc;
}

int sx_cmd_bench(int argc, char **argv)
{
	struct sx_error err = {0};
	struct options o;
	int status = -1;
	int rc = parse(&o, argc, argv, &err);

	if (rc == 1)
		return 0;
	if (rc == 0)
		rc = run(&o, &status, &err);
	if (rc == 0)
		return 0;
	fprintf(stderr, "splitx bench: %s\n", err.text[0] ? err.text : strerror(-rc));
	return status >= 0 ? status : sx_status_of_error(rc);
}
