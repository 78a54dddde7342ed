// SPDX-License-Identifier: BSD-3-Clause
/*
 * The socket's file: made, taken over from one that has died, and removed (unix(7)).
 *
 * Whoever makes it holds a lock on its directory (flock(2)) meanwhile. Else two could find the same
 * dead one, and the slower would remove the other's new one instead; or one could take for dead
 * what another has bound and does not listen at yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sidecore/virtio/vsock_internal.h"

#define BACKLOG 128 /* host programs that wait while the guest is not there */

/* How long we wait for the directory's lock: PATIENCE naps. It is held for moments. */
#define PATIENCE 2500
#define NAP_MS   2

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	return a;
}

static int check_path(const char *path, struct sx_error *err)
{
	if (!*path)
		return sx_fail(err, -EINVAL, "a vsock needs the path of a socket, such as vm.sock");
	if (strlen(path) > SX_VSOCK_PATH)
		return sx_fail(err, -EINVAL,
			       "the path of a vsock has at most %zu characters, and '%s' has %zu; "
			       "choose a shorter one",
			       SX_VSOCK_PATH, path, strlen(path));
	return 0;
}

/* Something is at @path already: 0 if it was the socket of somebody who has died, and is gone. */
static int take_over(const char *path, struct sx_error *err)
{
	const struct sockaddr_un a = address(path);
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return sx_fail(err, -EINVAL,
			       "'%s' is there and no socket; remove it or choose another path",
			       path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return sx_fail(err, -errno, "cannot create a socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	close(fd);
	if (rc != -ECONNREFUSED)
		return sx_fail(err, -EBUSY,
			       "somebody listens at '%s', perhaps another guest; choose another "
			       "path",
			       path);
	if (unlink(path) < 0 && errno != ENOENT)
		return sx_fail(err, -errno, "cannot remove the old socket '%s': %s", path,
			       strerror(errno));
	return 0;
}

static int open_directory(const char *path)
{
	char directory[SX_VSOCK_PATH + 1] = ".";
	const char *slash = strrchr(path, '/');

	if (slash) {
		memcpy(directory, path, (size_t)(slash + 1 - path));
		directory[slash + 1 - path] = '\0';
	}
	return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The descriptor that holds the lock of @path's directory until it is closed, or an error. */
static int lock_directory(const char *path, struct sx_error *err)
{
	int fd = open_directory(path);
	unsigned naps = 0;
	int rc;

	if (fd < 0)
		return sx_fail(err, -errno, "cannot open the directory of the socket '%s': %s",
			       path, strerror(errno));
	while ((rc = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0) == -EWOULDBLOCK &&
	       naps++ < PATIENCE)
		poll(NULL, 0, NAP_MS);
	if (rc == 0)
		return fd;
	close(fd);
	return sx_fail(err, rc == -EWOULDBLOCK ? -EBUSY : rc,
		       "cannot lock the directory of the socket '%s': %s; choose another one", path,
		       strerror(-rc));
}

static int make_file(int fd, const char *path, struct sx_error *err)
{
	const struct sockaddr_un a = address(path);
	int rc = bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;

	if (rc == -EADDRINUSE) {
		rc = take_over(path, err);
		if (rc < 0)
			return rc;
		rc = bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	}
	if (rc == 0 && listen(fd, BACKLOG) < 0) {
		rc = -errno;
		unlink(path);
	}
	if (rc < 0)
		return sx_fail(err, rc, "cannot make the socket '%s': %s", path, strerror(-rc));
	return 0;
}

static int make_file_locked(int fd, const char *path, struct sx_error *err)
{
	int lock = lock_directory(path, err);
	int rc = lock < 0 ? lock : make_file(fd, path, err);

	if (lock >= 0)
		close(lock);
	return rc;
}

int sx_vsock_listen(struct sx_virtio_vsock *v, const char *path, struct sx_error *err)
{
	struct stat st;
	int rc = check_path(path, err);

	if (rc < 0)
		return rc;
	v->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (v->listen_fd < 0)
		return sx_fail(err, -errno, "cannot create a socket: %s", strerror(errno));
	rc = make_file_locked(v->listen_fd, path, err);
	if (rc == 0 && lstat(path, &st) < 0)
		rc = sx_fail(err, -errno, "the socket '%s' went away: %s", path, strerror(errno));
	if (rc < 0) {
		close(v->listen_fd);
		v->listen_fd = -1;
		return rc;
	}
	memcpy(v->path, path, strlen(path) + 1);
	v->file_dev = st.st_dev;
	v->file_ino = st.st_ino;
	return 0;
}

void sx_vsock_unlisten(struct sx_virtio_vsock *v)
{
	struct stat st;

	if (v->listen_fd < 0)
		return;
	/* Before it is closed: until then nobody takes our file for one of the dead. */
	if (lstat(v->path, &st) == 0 && st.st_dev == v->file_dev && st.st_ino == v->file_ino)
		unlink(v->path);
	close(v->listen_fd);
	v->listen_fd = -1;
}
