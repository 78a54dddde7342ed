// SPDX-License-Identifier: BSD-3-Clause
/*
 * Runs gnuplot. Its program comes from a memory file and its picture goes into the result file
 * itself, so there is no shell, no file name in the program, and no pipe that could block.
 */
#include "bench/plot.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/outfile.h"
#include "bench/paths.h"

#define GNUPLOT "gnuplot"

static int gnuplot_missing(struct sx_error *err)
{
	return sx_fail(err, -ENOENT,
		       "a chart needs gnuplot, which is not installed; install "
		       "gnuplot-nox");
}

int sx_plot_available(struct sx_error *err)
{
	return sx_path_has_program(GNUPLOT) ? 0 : gnuplot_missing(err);
}

static int make_memory_file(const char *name, struct sx_error *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		return sx_fail(err, -errno, "cannot make a memory file for gnuplot: %s",
			       strerror(errno));
	return fd;
}

/* The program in a memory file, ready to be read. */
static int write_script(const struct sx_report *r, struct sx_error *err)
{
	int ret, fd = make_memory_file("gnuplot-in", err);
	FILE *f;

	if (fd < 0)
		return fd;
	f = fdopen(dup(fd), "w");
	ret = f ? sx_plot_script(r, f) : -errno;
	if (f && fclose(f) && !ret)
		ret = -errno;
	if (!ret && lseek(fd, 0, SEEK_SET) < 0)
		ret = -errno;
	if (ret == -ENODATA)
		sx_fail(err, ret, "there is nothing to draw: the report has no row");
	else if (ret)
		sx_fail(err, ret, "cannot write the program for gnuplot: %s", strerror(-ret));
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* Start gnuplot without its start-up files and reap it. Its wait status, or a negative errno. */
static int run_gnuplot(int in, int out, int words)
{
	static char *const argv[] = {(char *)GNUPLOT, (char *)"-d", (char *)"-", NULL};
	const int fds[] = {in, out, words};
	posix_spawn_file_actions_t actions;
	int ret, status;
	pid_t pid;

	ret = posix_spawn_file_actions_init(&actions);
	if (ret)
		return -ret;
	for (int fd = 0; fd < 3 && !ret; fd++)
		ret = posix_spawn_file_actions_adddup2(&actions, fds[fd], fd);
	if (!ret)
		ret = posix_spawnp(&pid, GNUPLOT, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (ret)
		return -ret;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

/* The last line that gnuplot said: the ones before only show where in its program. */
static void last_words(int fd, char *text, size_t size)
{
	char said[1024], *line;
	ssize_t length = pread(fd, said, sizeof(said) - 1, 0);

	said[length > 0 ? length : 0] = '\0';
	while (length > 0 && (said[length - 1] == '\n' || said[length - 1] == ' '))
		said[--length] = '\0';
	line = strrchr(said, '\n');
	line = line ? line + 1 : said;
	snprintf(text, size, "%s", *line ? line + strspn(line, " ") : "it gave no reason");
}

static int draw(int script, int svg, struct sx_error *err)
{
	int ret, words = make_memory_file("gnuplot-err", err);
	char text[256];

	if (words < 0)
		return words;
	ret = run_gnuplot(script, svg, words);
	last_words(words, text, sizeof(text));
	close(words);
	if (ret == -ENOENT)
		return gnuplot_missing(err);
	if (ret < 0)
		return sx_fail(err, ret, "cannot run gnuplot: %s", strerror(-ret));
	if (ret > 0)
		return sx_fail(err, -EIO, "gnuplot failed (%s); try another version of gnuplot-nox",
			       text);
	return 0;
}

int sx_plot_svg(const struct sx_report *r, const char *path, struct sx_error *err)
{
	struct sx_outfile out;
	int ret, script;

	script = write_script(r, err);
	if (script < 0)
		return script;
	ret = sx_outfile_open(&out, path, err);
	if (ret)
		goto close_script;
	ret = draw(script, out.fd, err);
	if (ret)
		sx_outfile_abort(&out);
	else
		ret = sx_outfile_commit(&out, err);
close_script:
	close(script);
	return ret;
}
