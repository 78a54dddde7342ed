// SPDX-License-Identifier: BSD-3-Clause
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/guest/channel.h"
#include "lab/guest/results.h"

struct announcement {
	struct sx_lab_file file;
	char name[SX_LAB_PAYLOAD - sizeof(struct sx_lab_file)];
};

static void report_missing(uint32_t result, int error)
{
	struct sx_lab_missing missing = {.result = result, .error = error};

	sx_channel_send(SX_LAB_MISSING, &missing, sizeof(missing));
}

/* Returns 0 or a positive errno. */
static int announce(uint32_t result, mode_t mode, const char *name)
{
	struct announcement begin = {.file = {.result = result, .mode = mode & 0777}};
	size_t length = strlen(name);

	if (length > sizeof(begin.name))
		return ENAMETOOLONG;
	memcpy(begin.name, name, length);
	sx_channel_send(SX_LAB_FILE, &begin, sizeof(begin.file) + length);
	return 0;
}

/* Sends what @fd holds, as @name below the result. */
static void send_file(uint32_t result, int fd, mode_t mode, const char *name)
{
	char buffer[SX_LAB_PAYLOAD];
	ssize_t length;
	int error;

	error = announce(result, mode, name);
	if (error) {
		report_missing(result, error);
		return;
	}
	while ((length = read(fd, buffer, sizeof(buffer))) > 0)
		sx_channel_send(SX_LAB_DATA, buffer, (size_t)length);
	sx_channel_send(SX_LAB_CLOSE, NULL, 0);
	if (length < 0)
		report_missing(result, errno);
}

static void send_at(uint32_t result, int parent, const char *entry, int flags, const char *name);

static void send_directory(uint32_t result, int fd, const char *name)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		report_missing(result, errno);
		close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		char below[PATH_MAX];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (snprintf(below, sizeof(below), "%s%s%s", name, *name ? "/" : "",
			     entry->d_name) >= (int)sizeof(below))
			report_missing(result, ENAMETOOLONG);
		else
			send_at(result, fd, entry->d_name, O_NOFOLLOW, below);
	}
	closedir(dir);
}

/*
 * Sends @entry of the directory @parent, which is @name below the result. With O_NOFOLLOW in
 * @flags a symbolic link counts as missing: below a directory it could lead in circles.
 */
static void send_at(uint32_t result, int parent, const char *entry, int flags, const char *name)
{
	/* O_NONBLOCK: a FIFO among the results must not stop us. */
	int fd = openat(parent, entry, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0) {
		report_missing(result, errno);
		if (fd >= 0)
			close(fd);
		return;
	}
	if (S_ISDIR(status.st_mode)) {
		send_directory(result, fd, name); /* closes fd */
		return;
	}
	/* Below a directory only files are wanted; a FIFO or device named outright is an error. */
	if (S_ISREG(status.st_mode))
		send_file(result, fd, status.st_mode, name);
	else if (*name == '\0')
		report_missing(result, EINVAL);
	close(fd);
}

void sx_results_send(uint32_t result, const char *path)
{
	send_at(result, AT_FDCWD, path, 0, "");
}
