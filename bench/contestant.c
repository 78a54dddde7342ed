// SPDX-License-Identifier: BSD-3-Clause
#include "bench/contestant.h"

#include <errno.h>
#include <string.h>

#include "bench/paths.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One more word than there is room for shows in the count. */
static void add(struct sx_command_line *line, const char *word)
{
	if (line->count + 1 < COUNT(line->argv))
		line->argv[line->count] = word;
	line->count++;
}

static void add_two(struct sx_command_line *line, const char *option, const char *value)
{
	if (!value)
		return;
	add(line, option);
	add(line, value);
}

static void add_all(struct sx_command_line *line, const char *const *words)
{
	while (words && *words)
		add(line, *words++);
}

static void splitx(const struct sx_contestant *c, const struct sx_bench_options *opt,
		   struct sx_command_line *line)
{
	bool split = strcmp(c->mode, "split") == 0;

	add(line, line->self);
	add(line, "run");
	add_two(line, "--mode", split ? "split" : "trap");
	add_two(line, "--memory", "512M");
	add_two(line, "--kernel", opt->kernel);
	add_two(line, "--initrd", opt->initrd);
	add_two(line, "--guest-cores", opt->guest_cores);
	if (split)
		add_two(line, "--sidecores", opt->sidecores);
	add_two(line, "--wait", opt->wait);
}

static void qemu(const struct sx_contestant *c, const struct sx_bench_options *opt,
		 struct sx_command_line *line)
{
	static const char *const fixed[] = {"-accel",
					    "kvm",
					    "-cpu",
					    "host",
					    "-m",
					    "512",
					    "-display",
					    "none",
					    "-nodefaults",
					    "-no-user-config",
					    "-no-reboot",
					    "-chardev",
					    "stdio,id=console,signal=off",
					    "-serial",
					    "chardev:console",
					    NULL};

	add(line, SX_QEMU);
	add_two(line, "-M", c->qemu_machine);
	add_all(line, fixed);
	add_two(line, "-kernel", opt->kernel);
	add_two(line, "-initrd", opt->initrd);
}

int sx_contestant_command(const struct sx_contestant *c, const struct sx_bench_options *opt,
			  const char *append, struct sx_command_line *line, struct sx_error *err)
{
	int rc = sx_path_self(line->self, sizeof(line->self), err);

	if (rc < 0)
		return rc;
	line->count = 0;
	if (c->qemu_machine)
		qemu(c, opt, line);
	else
		splitx(c, opt, line);
	add_all(line, c->devices);
	add_two(line, c->qemu_machine ? "-append" : "--append", append);
	if (line->count >= COUNT(line->argv))
		return sx_fail(err, -E2BIG, "the command line of %s has %u words, room is for %zu",
			       c->mode, line->count, COUNT(line->argv) - 1);
	line->argv[line->count] = NULL;
	return 0;
}

int sx_contestants_choose(const struct sx_contestant *c, size_t count,
			  const struct sx_bench_options *opt, struct sx_report *report,
			  bool *takes_part, struct sx_error *err)
{
	bool have_qemu = sx_path_has_program(SX_QEMU);
	int chosen = 0, rc = 0;

	for (size_t i = 0; i < count; i++) {
		takes_part[i] = (!opt->mode || strcmp(opt->mode, c[i].mode) == 0) &&
				(!c[i].qemu_machine || have_qemu);
		chosen += takes_part[i];
	}
	if (!chosen)
		return sx_fail(err, -ENOENT, "%s is not in PATH; install it", SX_QEMU);
	if (!opt->mode && !have_qemu)
		rc = sx_report_add_note(report, err, "QEMU left out: %s is not in PATH", SX_QEMU);
	return rc < 0 ? rc : chosen;
}
