// SPDX-License-Identifier: BSD-3-Clause
/* splitx stat: what still exits from guests that run, and why. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/control_folder.h"
#include "cli/options.h"
#include "cli/stat_watch.h"
#include "cli/status.h"

#define MAX_LISTED 256

struct options {
	struct sx_stat_watch_options watch;
	pid_t pid; /* 0: the one that runs */
	bool list;
};

static void usage(FILE *to)
{
	fputs("Usage: splitx stat [OPTION]... [PID]\n"
	      "Show what still exits from the guest of splitx run PID and why, again after each\n"
	      "interval; without PID, of the only one that runs.\n"
	      "\n"
	      "      --interval S  seconds between two looks, such as 0.5 (default: 1)\n"
	      "      --count N     stop after N looks (default: when the guest ends)\n"
	      "      --json        one line of JSON for each look\n"
	      "      --list        list the guests that run\n"
	      "      --help        show this\n"
	      "\n"
	      "Exit status: 0 also when the guest ends; 64 usage, or no PID and several run; 66 "
	      "no\n"
	      "such guest; 69 it refuses; 75 it does not answer; 76 it answers what is no answer;\n"
	      "77 it is another user's; 128+N ended by signal N.\n",
	      to);
}

/* ---- arguments ---- */

enum {
	OPT_INTERVAL = 256,
	OPT_COUNT,
	OPT_JSON,
	OPT_LIST,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"interval", required_argument, NULL, OPT_INTERVAL},
	{"count", required_argument, NULL, OPT_COUNT},
	{"json", no_argument, NULL, OPT_JSON},
	{"list", no_argument, NULL, OPT_LIST},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

static int parse_interval(const char *text, uint64_t *ns, struct sx_error *err)
{
	char *end;
	double seconds = strtod(text, &end);

	/* strtod takes much that is no such number. */
	if (!*text || text[strspn(text, "0123456789.")] || *end || seconds < 0.1 || seconds > 86400)
		return sx_fail(err, -EINVAL, "--interval wants seconds from 0.1 to 86400, not '%s'",
			       text);
	*ns = (uint64_t)(seconds * 1e9);
	return 0;
}

static int parse_option(struct options *o, int opt, const char *arg, struct sx_error *err)
{
	switch (opt) {
	case OPT_INTERVAL:
		return parse_interval(arg, &o->watch.interval_ns, err);
	case OPT_COUNT:
		return sx_parse_number("--count", arg, 1, UINT64_MAX, &o->watch.count, err);
	case OPT_JSON:
		o->watch.json = true;
		return 0;
	default:
		o->list = true;
		return 0;
	}
}

static int parse_words(struct options *o, char **words, int count, struct sx_error *err)
{
	uint64_t pid = 0;
	int rc = 0;

	if (count > 1 || (o->list && count))
		return sx_fail(err, -EINVAL, o->list ? "--list takes no PID" : "give one PID only");
	if (count)
		rc = sx_parse_number("PID", words[0], 1, INT32_MAX, &pid, err);
	o->pid = (pid_t)pid;
	return rc;
}

/* 0, 1 when help was printed, or a negative errno. */
static int parse(struct options *o, int argc, char **argv, struct sx_error *err)
{
	int opt, rc;

	*o = (struct options){.watch.interval_ns = 1000000000u};
	optind = 1;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (opt == OPT_HELP || opt == 'h') {
			usage(stdout);
			return 1;
		}
		rc = opt == ':' || opt == '?' ? sx_refuse_option("stat", opt, argv, err)
					      : parse_option(o, opt, optarg, err);
		if (rc < 0)
			return rc;
	}
	return parse_words(o, argv + optind, argc - optind, err);
}

/* ---- the list ---- */

static void print_row(const json_t *stats)
{
	const char *mode = json_string_value(json_object_get(stats, "mode"));
	const char *guest = json_string_value(json_object_get(stats, "guest"));

	printf("%7" JSON_INTEGER_FORMAT " %-5.5s %5zu %9zu %9.1f  ",
	       json_integer_value(json_object_get(stats, "pid")), mode ? mode : "?",
	       json_array_size(json_object_get(stats, "vcpus")),
	       json_array_size(json_object_get(stats, "sidecores")),
	       (double)json_integer_value(json_object_get(stats, "guest_ns")) / 1e9);
	/* It may be another user's word. */
	for (; guest && *guest; guest++)
		putchar(*guest >= ' ' && *guest <= '~' ? *guest : '?');
	putchar('\n');
}

/* One that ends meanwhile, or does not answer, is not shown. */
static json_t *ask_once(pid_t pid)
{
	int fd = sx_control_connect(pid, NULL);
	json_t *stats = NULL;

	if (fd < 0)
		return NULL;
	if (sx_control_ask(fd, "stats", SX_STAT_TIMEOUT_MS, &stats, NULL) < 0)
		stats = NULL;
	close(fd);
	return stats;
}

static int list(bool as_json)
{
	pid_t pid[MAX_LISTED];
	unsigned count = sx_control_list(pid, MAX_LISTED);
	json_t *all = json_array();

	for (unsigned i = 0; i < count && i < MAX_LISTED; i++)
		json_array_append_new(all, ask_once(pid[i]));
	if (as_json) {
		json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		putchar('\n');
	} else {
		printf("%7s %-5s %5s %9s %9s  %s\n", "PID", "mode", "vCPUs", "sidecores", "seconds",
		       "guest");
		for (size_t i = 0; i < json_array_size(all); i++)
			print_row(json_array_get(all, i));
	}
	json_decref(all);
	return 0;
}

/* ---- which one ---- */

static int choose(pid_t *pid, struct sx_error *err)
{
	int rc = sx_control_choose(pid, err);

	if (rc == -EINVAL)
		list(false);
	return rc;
}

static int run(struct options *o, int *status, struct sx_error *err)
{
	int rc = o->pid ? 0 : choose(&o->pid, err);

	return rc < 0 ? rc : sx_stat_watch(o->pid, &o->watch, status, err);
}

int sx_cmd_stat(int argc, char **argv)
{
	struct sx_error err = {0};
	struct options o;
	int status = 0;
	int rc = parse(&o, argc, argv, &err);

	if (rc == 0)
		rc = o.list ? list(o.watch.json) : run(&o, &status, &err);
	if (rc >= 0)
		return status;
	fflush(stdout);
	fprintf(stderr, "splitx stat: %s\n", err.text[0] ? err.text : strerror(-rc));
	return ferror(stdout) ? EX_IOERR : sx_status_of_error(rc);
}
