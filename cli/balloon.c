// SPDX-License-Identifier: BSD-3-Clause
/* splitx balloon: how much memory a guest that runs is to keep, and has. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/control_folder.h"
#include "cli/options.h"
#include "cli/status.h"

#define TIMEOUT_MS 5000

/* Figures that the guest is asked for are there a moment later. */
#define MOMENT_NS 200000000

struct options {
	uint64_t target; /* 0: as it is */
	bool json;
	pid_t pid; /* 0: the one that runs */
};

static void usage(FILE *to)
{
	fputs("Usage: splitx balloon [OPTION]... [PID]\n"
	      "Show how much memory the guest of splitx run PID is to keep and has, or change it;\n"
	      "without PID, of the only one that runs. It was started with --balloon.\n"
	      "\n"
	      "      --target SIZE  what it is to keep, such as 256M; it comes there by and by\n"
	      "      --json         JSON, in bytes\n"
	      "      --help         show this\n"
	      "\n"
	      "Exit status: 0; 64 usage, or no PID and several run; 66 no such guest; 69 it\n"
	      "refuses; 75 it does not answer; 76 it answers what is no answer; 77 it is another\n"
	      "user's.\n",
	      to);
}

enum {
	OPT_TARGET = 256,
	OPT_JSON,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"target", required_argument, NULL, OPT_TARGET},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

static int parse_words(struct options *o, char **words, int count, struct sx_error *err)
{
	uint64_t pid = 0;
	int rc = 0;

	if (count > 1)
		return sx_fail(err, -EINVAL, "give one PID only");
	if (count)
		rc = sx_parse_number("PID", words[0], 1, INT32_MAX, &pid, err);
	o->pid = (pid_t)pid;
	return rc;
}

/* 0, 1 when help was printed, or a negative errno. */
static int parse(struct options *o, int argc, char **argv, struct sx_error *err)
{
	int opt, rc = 0;

	*o = (struct options){0};
	optind = 1;
	opterr = 0;
	while (rc == 0 && (opt = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (opt == OPT_HELP || opt == 'h') {
			usage(stdout);
			return 1;
		}
		if (opt == OPT_TARGET)
			rc = sx_parse_size("--target", optarg, &o->target, err);
		else if (opt == OPT_JSON)
			o->json = true;
		else
			rc = sx_refuse_option("balloon", opt, argv, err);
	}
	return rc < 0 ? rc : parse_words(o, argv + optind, argc - optind, err);
}

static int ask(int fd, uint64_t target, json_t **reply, struct sx_error *err)
{
	json_t *request = json_pack("{s:s}", "command", "balloon");
	int rc;

	if (!request)
		return -ENOMEM;
	if (target)
		json_object_set_new(request, "target", json_integer((json_int_t)target));
	rc = sx_control_request(fd, request, TIMEOUT_MS, reply, err);
	json_decref(request);
	if (rc == -ECONNRESET)
		return sx_fail(err, -ESRCH, "the guest has ended");
	return rc;
}

/* Twice: what the guest says of itself it is asked for by the first time. */
static int ask_again(int fd, uint64_t target, json_t **reply, struct sx_error *err)
{
	const struct timespec moment = {.tv_nsec = MOMENT_NS};
	int rc = ask(fd, target, reply, err);

	if (rc < 0)
		return rc;
	json_decref(*reply);
	nanosleep(&moment, NULL);
	return ask(fd, 0, reply, err);
}

static double mib(const json_t *reply, const char *key)
{
	return (double)json_integer_value(json_object_get(reply, key)) / (1 << 20);
}

static void print(const json_t *reply)
{
	printf("memory     %10.1f MiB\n", mib(reply, "memory"));
	printf("target     %10.1f MiB\n", mib(reply, "target"));
	printf("it has     %10.1f MiB\n", mib(reply, "actual"));
	printf("given back %10.1f MiB, all that ever was\n", mib(reply, "returned"));
	if (json_is_integer(json_object_get(reply, "free")))
		printf("it says    %10.1f MiB free, %.1f MiB available, of %.1f MiB\n",
		       mib(reply, "free"), mib(reply, "available"), mib(reply, "total"));
}

static int run(struct options *o, struct sx_error *err)
{
	json_t *reply = NULL;
	int rc = o->pid ? 0 : sx_control_choose(&o->pid, err);
	int fd;

	if (rc < 0)
		return rc;
	fd = sx_control_connect(o->pid, err);
	if (fd < 0)
		return fd;
	rc = ask_again(fd, o->target, &reply, err);
	close(fd);
	if (rc < 0)
		return rc;
	if (o->json) {
		json_dumpf(reply, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print(reply);
	}
	json_decref(reply);
	return 0;
}

int sx_cmd_balloon(int argc, char **argv)
{
	struct sx_error err = {0};
	struct options o;
	int rc = parse(&o, argc, argv, &err);

	if (rc == 0)
		rc = run(&o, &err);
	if (rc >= 0)
		return 0;
	fprintf(stderr, "splitx balloon: %s\n", err.text[0] ? err.text : strerror(-rc));
	return sx_status_of_error(rc);
}
