// SPDX-License-Identifier: BSD-3-Clause
#include "cli/control_folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 8

/* ---- folders ---- */

enum folder { OF_ENVIRONMENT, OF_USER, OF_ROOT, OF_ANYBODY, FOLDERS };

/* The path of a folder of user @uid; false when that user has none of the kind, or it is too long.
 */
static bool folder_path(enum folder which, uid_t uid, char *path)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	int n = 0;

	switch (which) {
	case OF_ENVIRONMENT:
		if (uid == geteuid() && base && base[0] == '/')
			n = snprintf(path, SX_CONTROL_PATH_SIZE, "%s/splitx", base);
		break;
	case OF_USER:
		n = snprintf(path, SX_CONTROL_PATH_SIZE, "/run/user/%u/splitx", uid);
		break;
	case OF_ROOT:
		if (uid == 0)
			n = snprintf(path, SX_CONTROL_PATH_SIZE, "/run/splitx");
		break;
	default:
		n = snprintf(path, SX_CONTROL_PATH_SIZE, "/tmp/splitx-%u", uid);
		break;
	}
	return n > 0 && (size_t)n < SX_CONTROL_PATH_SIZE;
}

/* Is it a folder of ours that nobody else can enter? Else whoever could would be us to others. */
static bool is_private(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & (S_IRWXG | S_IRWXO));
}

/* ---- sockets in them ---- */

static bool socket_address(struct sockaddr_un *a, const char *folder, pid_t pid)
{
	int n;

	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(a->sun_path, sizeof(a->sun_path), "%s/%d.sock", folder, (int)pid);
	return n > 0 && (size_t)n < sizeof(a->sun_path);
}

/* The process whose socket has this name; 0: it is none. */
static pid_t pid_of(const char *name)
{
	char *end;
	long pid;

	if (!isdigit((unsigned char)name[0]))
		return 0;
	errno = 0;
	pid = strtol(name, &end, 10);
	return errno || strcmp(end, ".sock") != 0 || pid > INT32_MAX ? 0 : (pid_t)pid;
}

static int connect_at(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* Nobody has that number, and nobody listens: a process may live where its number is another. */
static void remove_if_stale(const char *folder, pid_t pid)
{
	struct sockaddr_un a;
	int fd;

	if (kill(pid, 0) == 0 || errno != ESRCH || !socket_address(&a, folder, pid))
		return;
	fd = connect_at(&a);
	if (fd >= 0)
		close(fd);
	else if (fd == -ECONNREFUSED)
		unlink(a.sun_path);
}

static void remove_stale(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (pid_of(e->d_name))
			remove_if_stale(folder, pid_of(e->d_name));
	if (dir)
		closedir(dir);
}

/* ---- listen ---- */

static int listen_at(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (fd < 0)
		return -errno;
	/* Who had our number before us is gone. */
	unlink(a->sun_path);
	if (bind(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int sx_control_listen(char *path, struct sx_error *err)
{
	int rc = -ENOENT;

	for (enum folder i = 0; i < FOLDERS; i++) {
		char folder[SX_CONTROL_PATH_SIZE];
		struct sockaddr_un a;

		if (!folder_path(i, geteuid(), folder) || !socket_address(&a, folder, getpid()))
			continue;
		if (mkdir(folder, S_IRWXU) < 0 && errno != EEXIST)
			continue;
		if (!is_private(folder))
			continue;
		remove_stale(folder);
		rc = listen_at(&a);
		if (rc >= 0) {
			memcpy(path, a.sun_path, sizeof(a.sun_path));
			return rc;
		}
	}
	return sx_fail(err, rc,
		       "splitx stat will not find this guest: neither in $XDG_RUNTIME_DIR nor in "
		       "/run or /tmp a folder can be made that is only this user's");
}

/* ---- connect ---- */

/* Is the other side who its name says? */
static bool is_process(int fd, pid_t pid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == pid;
}

/* The first folder of @uid that has a socket on which @pid listens; -ESRCH: none has. */
static int connect_to_user(uid_t uid, pid_t pid)
{
	for (enum folder i = 0; i < FOLDERS; i++) {
		char folder[SX_CONTROL_PATH_SIZE];
		struct sockaddr_un a;
		int fd;

		if (!folder_path(i, uid, folder) || !socket_address(&a, folder, pid))
			continue;
		fd = connect_at(&a);
		if (fd >= 0 && is_process(fd, pid))
			return fd;
		if (fd >= 0)
			close(fd);
		else if (fd == -EAGAIN)
			return -EBUSY;
	}
	return -ESRCH;
}

int sx_control_connect(pid_t pid, struct sx_error *err)
{
	char proc[32];
	struct stat st;
	int fd;

	snprintf(proc, sizeof(proc), "/proc/%d", (int)pid);
	if (stat(proc, &st) < 0)
		return sx_fail(err, -ESRCH,
			       "there is no process %d; splitx stat --list says what runs",
			       (int)pid);
	if (geteuid() != 0 && st.st_uid != geteuid())
		return sx_fail(err, -EACCES,
			       "process %d is another user's; ask as that user or as root",
			       (int)pid);
	fd = connect_to_user(st.st_uid, pid);
	if (fd == -EBUSY)
		return sx_fail(err, fd, "too many ask splitx run %d at once; try again", (int)pid);
	if (fd < 0)
		return sx_fail(err, fd,
			       "process %d is no splitx run that can be asked; splitx stat --list "
			       "says what runs",
			       (int)pid);
	return fd;
}

/* ---- list ---- */

struct list {
	pid_t *pid;
	unsigned max, count;
};

static bool is_listed(const struct list *l, pid_t pid)
{
	for (unsigned i = 0; i < l->count && i < l->max; i++)
		if (l->pid[i] == pid)
			return true;
	return false;
}

static void add(struct list *l, pid_t pid)
{
	int fd;

	if (!pid || is_listed(l, pid))
		return;
	fd = sx_control_connect(pid, NULL);
	if (fd < 0)
		return;
	close(fd);
	if (l->count < l->max)
		l->pid[l->count] = pid;
	l->count++;
}

static void list_folder(struct list *l, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		add(l, pid_of(e->d_name));
	if (dir)
		closedir(dir);
}

static void list_pattern(struct list *l, const char *pattern)
{
	glob_t g;

	if (glob(pattern, GLOB_NOSORT, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		list_folder(l, g.gl_pathv[i]);
	globfree(&g);
}

unsigned sx_control_list(pid_t *pid, unsigned max)
{
	struct list l = {.pid = pid, .max = max};

	for (enum folder i = 0; i < FOLDERS; i++) {
		char folder[SX_CONTROL_PATH_SIZE];

		if (folder_path(i, geteuid(), folder))
			list_folder(&l, folder);
	}
	if (geteuid() == 0) {
		list_pattern(&l, "/run/user/*/splitx");
		list_pattern(&l, "/tmp/splitx-[0-9]*");
	}
	return l.count;
}
