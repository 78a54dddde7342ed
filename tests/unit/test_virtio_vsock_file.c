// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-vsock's socket as a file: whose it is, who may replace it, who removes it, what it may be
 * called; and many who want the same one at once.
 */
#include "tests/unit/test_virtio_vsock_world.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "sidecore/virtio/vsock_internal.h"

VT_WORLD

static struct sx_virtio_vsock second;

static int init_at(const char *path, uint64_t cid, struct sx_error *err)
{
	const struct sx_virtio_vsock_config config = {.path = path, .cid = cid};
	struct sx_virtio_env env = vw_env(&t.w, true);
	int rc;

	err->text[0] = 0;
	rc = sx_virtio_vsock_init(&second, &config, &env, err);
	if (rc < 0)
		assert_null(second.dev.ops);
	return rc;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void a_path_in_use_is_refused(void **state)
{
	struct sx_error err;
	uint32_t port;
	int fd;

	(void)state;
	assert_int_equal(init_at(t.path, 0, &err), -EBUSY);
	assert_non_null(strstr(err.text, "somebody listens"));
	/* Who was there is still there. */
	fd = vt_connected(&t, &port);
	close(fd);
}

static void the_socket_of_the_dead_is_replaced(void **state)
{
	struct sx_error err;
	char path[80];
	int fd = vt_host_listen(&t, 1);
	struct stat before, after;

	(void)state;
	close(fd);
	snprintf(path, sizeof(path), "%s_1", t.path);
	assert_int_equal(lstat(path, &before), 0);
	assert_int_equal(init_at(path, 0, &err), 0);
	assert_int_equal(lstat(path, &after), 0);
	assert_true(S_ISSOCK(after.st_mode));
	sx_virtio_vsock_destroy(&second);
	assert_false(exists(path));
}

static void what_is_no_socket_is_left_alone(void **state)
{
	struct sx_error err;
	char path[80];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s_file", t.path);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "precious", 8), 8);
	assert_int_equal(init_at(path, 0, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no socket"));
	assert_int_equal(lseek(fd, 0, SEEK_END), 8);
	assert_true(exists(path));
	close(fd);
	/* Nor what a link leads to. */
	unlink(path);
	assert_int_equal(symlink(t.path, path), 0);
	assert_int_equal(init_at(path, 0, &err), -EINVAL);
	assert_true(exists(t.path));
}

static void another_ones_file_is_not_removed(void **state)
{
	struct sx_error err;
	char path[80];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s_2", t.path);
	assert_int_equal(init_at(path, 0, &err), 0);
	unlink(path);
	fd = vt_host_listen(&t, 2);
	sx_virtio_vsock_destroy(&second);
	assert_true(exists(path));
	close(fd);
}

static void paths_and_cids_have_bounds(void **state)
{
	char path[SX_VSOCK_PATH + 2];
	struct sx_error err;

	(void)state;
	assert_int_equal(init_at("", 0, &err), -EINVAL);
	assert_non_null(strstr(err.text, "path"));
	assert_int_equal(init_at("/nowhere/at/all", 0, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/at/all"));
	memset(path, 'x', sizeof(path));
	memcpy(path, t.dir, strlen(t.dir));
	path[strlen(t.dir)] = '/';
	path[SX_VSOCK_PATH + 1] = 0;
	assert_int_equal(init_at(path, 0, &err), -EINVAL);
	assert_non_null(strstr(err.text, "shorter"));
	path[SX_VSOCK_PATH] = 0;
	assert_int_equal(init_at(path, 0, &err), 0);
	assert_int_equal(vw_read(&t.w, t.d.config, 8), VT_CID);
	assert_int_equal(second.cid, SX_VSOCK_GUEST_CID);
	sx_virtio_vsock_destroy(&second);
	assert_false(exists(path));
	for (uint64_t cid = 1; cid < 3; cid++)
		assert_int_equal(init_at(path, cid, &err), -EINVAL);
	assert_int_equal(init_at(path, UINT32_MAX, &err), -EINVAL);
	assert_int_equal(init_at(path, 1ull << 32 | 3, &err), -EINVAL);
	assert_non_null(strstr(err.text, "CID"));
	assert_int_equal(init_at(path, SX_VSOCK_MAX_CID, &err), 0);
	sx_virtio_vsock_destroy(&second);
}

/* The longest path, and the longest port behind it. */
static void the_longest_names_fit(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	vt_close(&t);
	vt_build(&t, true, 0);
	sx_virtio_pci_destroy(&t.pci);
	sx_virtio_vsock_destroy(&t.v);
	memset(a.sun_path, 'x', SX_VSOCK_PATH);
	memcpy(a.sun_path, t.path, strlen(t.path));
	a.sun_path[strlen(t.path)] = '_';
	{
		const struct sx_virtio_vsock_config config = {.path = a.sun_path, .cid = VT_CID};
		struct sx_virtio_env env = vw_env(&t.w, true);

		assert_int_equal(sx_virtio_vsock_init(&t.v, &config, &env, NULL), 0);
	}
	assert_int_equal(sx_virtio_pci_init(&t.pci, &t.v.dev, &t.w.host, SX_PCI_ANY, NULL), 0);
	assert_int_equal(vw_probe(&t.d, &t.w, t.pci.function.devfn), 0);
	vt_up(&t, VT_FEATURES);
	vt_post(&t, 4);
	memcpy(&a.sun_path[SX_VSOCK_PATH], "_4294967295", 12);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(vt_called(&t, fd, 5000, UINT32_MAX));
	close(fd);
}

/* ---- who come at the same time ---- */

#define RIVALS 3u
#define ROUNDS 1000u

struct rival {
	pthread_t thread;
	unsigned *missing; /* rivals that are not there yet; NULL: there are none */
	const char *path;
	struct sx_virtio_vsock v;
	struct sx_error err;
	int rc;
};

static void *want_it(void *arg)
{
	struct rival *r = arg;

	/* They start as close to each other as they can; the order is all the same: no pair. */
	if (r->missing && __atomic_sub_fetch(r->missing, 1, __ATOMIC_RELAXED))
		while (sx_load_relaxed(r->missing))
			sched_yield();
	r->rc = sx_vsock_listen(&r->v, r->path, &r->err);
	return NULL;
}

static void leave_dead_socket(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(snprintf(a.sun_path, sizeof(a.sun_path), "%s", path) > 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
}

/* One of them has it, the path leads to that one, and the others were told who is there. */
static void expect_one_winner(struct rival *rival, const char *path)
{
	unsigned winners = 0;
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	for (unsigned i = 0; i < RIVALS; i++) {
		if (rival[i].rc == 0) {
			assert_true(st.st_ino == rival[i].v.file_ino);
			winners++;
			continue;
		}
		assert_int_equal(rival[i].rc, -EBUSY);
		assert_non_null(strstr(rival[i].err.text, "somebody listens"));
		assert_int_equal(rival[i].v.listen_fd, -1);
	}
	assert_int_equal(winners, 1);
}

static void race(const char *path)
{
	struct rival rival[RIVALS] = {0};
	unsigned missing = RIVALS;

	for (unsigned i = 0; i < RIVALS; i++) {
		rival[i].path = path;
		rival[i].missing = &missing;
		assert_int_equal(pthread_create(&rival[i].thread, NULL, want_it, &rival[i]), 0);
	}
	for (unsigned i = 0; i < RIVALS; i++)
		pthread_join(rival[i].thread, NULL);
	expect_one_winner(rival, path);
	for (unsigned i = 0; i < RIVALS; i++)
		sx_vsock_unlisten(&rival[i].v);
	assert_false(exists(path));
}

static void of_many_who_come_at_once_one_has_it(void **state)
{
	char path[80];

	(void)state;
	snprintf(path, sizeof(path), "%s_race", t.path);
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (i % 2)
			leave_dead_socket(path);
		race(path);
	}
}

static int lock_directory(void)
{
	int fd = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	return fd;
}

/* What a program is told that connects there. */
static int ask(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int rc;

	assert_true(snprintf(a.sun_path, sizeof(a.sun_path), "%s", path) > 0);
	rc = connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
	close(fd);
	return rc;
}

static void who_comes_while_another_makes_one_waits(void **state)
{
	struct rival late = {0};
	char path[80];
	int lock = lock_directory();

	(void)state;
	snprintf(path, sizeof(path), "%s_late", t.path);
	leave_dead_socket(path);
	late.path = path;
	assert_int_equal(pthread_create(&late.thread, NULL, want_it, &late), 0);
	poll(NULL, 0, 50);
	assert_int_equal(ask(path), ECONNREFUSED);
	close(lock);
	pthread_join(late.thread, NULL);
	assert_int_equal(late.rc, 0);
	assert_int_equal(ask(path), 0);
	/* The lock was given back. */
	close(lock_directory());
	sx_vsock_unlisten(&late.v);
}

static void a_directory_that_stays_locked_is_refused(void **state)
{
	struct rival late = {0};
	char path[80];
	int lock = lock_directory();

	(void)state;
	snprintf(path, sizeof(path), "%s_never", t.path);
	late.path = path;
	want_it(&late);
	assert_int_equal(late.rc, -EBUSY);
	assert_non_null(strstr(late.err.text, "cannot lock the directory"));
	assert_non_null(strstr(late.err.text, path));
	assert_int_equal(late.v.listen_fd, -1);
	assert_false(exists(path));
	close(lock);
}

#define SPLIT(F)                                           \
	{                                                  \
#F, F, vt_open_split, vt_close_world, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VT_BOTH(a_path_in_use_is_refused),
		SPLIT(the_socket_of_the_dead_is_replaced),
		SPLIT(what_is_no_socket_is_left_alone),
		SPLIT(another_ones_file_is_not_removed),
		SPLIT(paths_and_cids_have_bounds),
		VT_BOTH(the_longest_names_fit),
		SPLIT(of_many_who_come_at_once_one_has_it),
		SPLIT(who_comes_while_another_makes_one_waits),
		SPLIT(a_directory_that_stays_locked_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
