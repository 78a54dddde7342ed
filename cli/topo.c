// SPDX-License-Identifier: BSD-3-Clause
#include "cli/topo.h"

#include <errno.h>
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/options.h"
#include "guestcore/placement.h"

#define MAX_VCPUS     4096
#define MAX_SIDECORES 4096

static const char usage_text[] =
	"usage: splitx topo [options]\n"
	"\n"
	"Show which CPUs would run a guest (guest cores) and which would run the hypervisor\n"
	"for it (sidecores): a picture of the machine, who serves whom, and what could be\n"
	"better. Nothing is bound or changed. `splitx run` plans in the same way.\n"
	"\n"
	"  -g, --guest-cores L     CPUs for vCPUs; the first is for vCPU 0\n"
	"  -s, --sidecores L       CPUs for sidecores\n"
	"  -n, --sidecore-count N  sidecores to choose when --sidecores is left out\n"
	"                          (1; 0 plans trap mode)\n"
	"  -c, --vcpus N           vCPUs (one for each of --guest-cores, else 1)\n"
	"      --smt               when whole cores run out, choose SMT siblings too\n"
	"      --svg FILE          also write the plan as an SVG picture; - is standard output,\n"
	"                          instead of the text\n"
	"      --topology T        plan for another machine: a file.xml made there by lstopo, or\n"
	"                          a description such as 'pack:2 numa:1 l3:1 core:8 pu:2'\n"
	"  -h, --help              show this\n"
	"\n"
	"L is a list such as 0,2-5 or a mask such as 0x3c, in the kernel's CPU numbers.\n"
	"CPUs that are not named are chosen: a guest core and its sidecore on one NUMA node\n"
	"and under one last-level cache; whole cores, not SMT siblings; isolated CPUs\n"
	"(isolcpus=) first; and CPU 0 left to the host while there is a choice. Only CPUs in\n"
	"the affinity mask of the command are chosen (see taskset(1)), and isolated ones.\n"
	"\n"
	"Exit status: 0 there is a plan; 64 wrong usage; 69 no such plan is possible here;\n"
	"73 the SVG file cannot be written; 74 nor can standard output.\n"
	"\n"
	"  splitx topo --vcpus 4\n"
	"  splitx topo --guest-cores 2-5 --sidecores 1 --svg plan.svg\n"
	"  splitx topo --topology 'pack:2 numa:1 l3:1 core:16 pu:2' --vcpus 8 -n 2\n";

struct options {
	struct sx_placement_request req;
	const char *svg;
	bool help;
};

static int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int complain(const char *fmt, ...)
{
	va_list ap;

	fputs("splitx topo: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EX_USAGE;
}

static int parse_count(const char *option, const char *text, unsigned least, unsigned most,
		       unsigned *value)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n < least || n > most)
		return complain("%s '%.40s' is no number from %u to %u; give one", option, text,
				least, most);
	*value = (unsigned)n;
	return EX_OK;
}

enum {
	OPT_SMT = 256,
	OPT_SVG,
	OPT_TOPOLOGY,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"guest-cores", required_argument, NULL, 'g'},
	{"sidecores", required_argument, NULL, 's'},
	{"sidecore-count", required_argument, NULL, 'n'},
	{"vcpus", required_argument, NULL, 'c'},
	{"smt", no_argument, NULL, OPT_SMT},
	{"svg", required_argument, NULL, OPT_SVG},
	{"topology", required_argument, NULL, OPT_TOPOLOGY},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int take_option(int opt, struct options *o, bool *counted)
{
	switch (opt) {
	case 'g':
		o->req.guest_cores = optarg;
		return EX_OK;
	case 's':
		o->req.sidecores = optarg;
		return EX_OK;
	case 'n':
		*counted = true;
		return parse_count("--sidecore-count", optarg, 0, MAX_SIDECORES, &o->req.n_side);
	case 'c':
		return parse_count("--vcpus", optarg, 1, MAX_VCPUS, &o->req.n_guest);
	case OPT_SMT:
		o->req.allow_smt = true;
		return EX_OK;
	case OPT_SVG:
		o->svg = optarg;
		return EX_OK;
	case OPT_TOPOLOGY:
		o->req.topology = optarg;
		return EX_OK;
	case 'h':
	case OPT_HELP:
		o->help = true;
		return EX_OK;
	default:
		return EX_USAGE;
	}
}

static int parse_options(int argc, char **argv, struct options *o)
{
	bool counted = false;
	int opt;

	optind = 0; /* start over: the caller may have used getopt for itself */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":g:s:n:c:h", long_options, NULL)) != -1) {
		struct sx_error err = {0};
		int status = EX_OK;

		if ((opt == ':' || opt == '?') && sx_refuse_option("topo", opt, argv, &err) < 0)
			status = complain("%s", err.text);
		else
			status = take_option(opt, o, &counted);

		if (status || o->help)
			return status;
	}
	if (optind < argc)
		return complain("'%.80s' is no option; run 'splitx topo --help'", argv[optind]);
	if (counted && o->req.sidecores)
		return complain("--sidecore-count and --sidecores exclude each other; "
				"leave one out");
	if (!counted && !o->req.sidecores)
		o->req.n_side = 1;
	return EX_OK;
}

/* --- out --------------------------------------------------------------------------------- */

static bool locale_is_utf8(void)
{
	locale_t users = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool utf8;

	if (!users)
		return false;
	utf8 = !strcmp(nl_langinfo_l(CODESET, users), "UTF-8");
	freelocale(users);
	return utf8;
}

static struct sx_placement_look look_of_stdout(void)
{
	struct sx_placement_look look = {.utf8 = locale_is_utf8(), .columns = 80};
	const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return look;
	look.colour = term && strcmp(term, "dumb") != 0 && !(no_colour && *no_colour);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		look.columns = size.ws_col;
	return look;
}

static int write_usage(void)
{
	if (fputs(usage_text, stdout) >= 0 && fflush(stdout) == 0)
		return EX_OK;
	complain("standard output cannot be written: %s", strerror(errno));
	return EX_IOERR;
}

static int write_text(const struct sx_placement *p)
{
	struct sx_placement_look look = look_of_stdout();
	int rc = sx_placement_write_text(p, &look, stdout);

	for (unsigned i = 0; i < sx_placement_warnings(p); i++)
		printf("%swarning: %s\n", i ? "" : "\n", sx_placement_warning(p, i));
	if (!rc && fflush(stdout))
		rc = -errno;
	if (!rc)
		return EX_OK;
	fprintf(stderr, "splitx topo: the plan cannot be written to standard output: %s\n",
		strerror(-rc));
	return EX_IOERR;
}

/* The whole text before the file is touched, so that errno is the file's. */
static int render_svg(const struct sx_placement *p, char **svg, size_t *size)
{
	FILE *f = open_memstream(svg, size);
	int rc;

	if (!f)
		return -errno;
	rc = sx_placement_write_svg(p, f);
	if (fclose(f) && !rc)
		rc = -errno;
	if (rc < 0)
		free(*svg);
	return rc;
}

static int write_file(const char *name, const char *text, size_t size)
{
	bool to_stdout = !strcmp(name, "-");
	FILE *f = to_stdout ? stdout : fopen(name, "w");
	int rc = 0;

	if (!f)
		return -errno;
	if (fwrite(text, 1, size, f) != size)
		rc = -errno;
	if ((to_stdout ? fflush(f) : fclose(f)) && !rc)
		rc = -errno;
	return rc;
}

static int write_svg(const struct sx_placement *p, const char *name)
{
	size_t size;
	char *svg;
	int rc = render_svg(p, &svg, &size);

	if (!rc) {
		rc = write_file(name, svg, size);
		free(svg);
	}
	if (!rc)
		return EX_OK;
	fprintf(stderr,
		"splitx topo: SVG file '%.200s' cannot be written: %s; name another with --svg\n",
		name, strerror(-rc));
	return EX_CANTCREAT;
}

static int show(const struct sx_placement *p, const char *svg)
{
	int status = EX_OK;

	if (!svg || strcmp(svg, "-") != 0)
		status = write_text(p);
	return status || !svg ? status : write_svg(p, svg);
}

int sx_cmd_topo(int argc, char **argv)
{
	struct options o = {0};
	struct sx_error err = {0};
	struct sx_placement *p;
	int status = parse_options(argc, argv, &o);
	int rc;

	if (status)
		return status;
	if (o.help)
		return write_usage();
	rc = sx_placement_plan(&o.req, &p, &err);
	if (rc < 0) {
		fprintf(stderr, "splitx topo: %s\n", err.text);
		return rc == -EINVAL ? EX_USAGE : EX_UNAVAILABLE;
	}
	status = show(p, o.svg);
	sx_placement_free(p);
	return status;
}
