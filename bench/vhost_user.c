// SPDX-License-Identifier: BSD-3-Clause
#include "bench/vhost_user.h"

#include <errno.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MS 30000

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
};

#define VERSION  1u
#define IS_REPLY 4u

struct memory_table {
	uint32_t regions, pad;
	struct {
		uint64_t gpa, size, user, offset; /* offset: in the file that comes along */
	} region[1];
};

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct memory_table memory;
	};
} __attribute__((packed));

#define HEADER offsetof(struct message, u64)

/* ---- messages ---- */

static int failed(int rc, struct sx_error *err)
{
	return sx_fail(err, rc, "the vhost-user back end does not answer as it should: %s",
		       strerror(-rc));
}

/* @file: goes along; -1: none. */
static int say(struct sx_vhost_user *v, struct message *m, uint32_t size, int file,
	       struct sx_error *err)
{
	struct iovec iov = {.iov_base = m, .iov_len = HEADER + size};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	m->flags = VERSION;
	m->size = size;
	if (file >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &file, sizeof(file));
	}
	if (sendmsg(v->fd, &msg, MSG_NOSIGNAL) != (ssize_t)iov.iov_len)
		return failed(errno ? -errno : -EPROTO, err);
	return 0;
}

static int say_number(struct sx_vhost_user *v, enum request request, uint64_t number, int file,
		      struct sx_error *err)
{
	struct message m = {.request = request, .u64 = number};

	return say(v, &m, sizeof(m.u64), file, err);
}

/* Messages are served in turn: who answers this one has served all before it. */
static int ask_features(struct sx_vhost_user *v, uint64_t *features, struct sx_error *err)
{
	struct message m = {.request = GET_FEATURES};
	struct pollfd p = {.fd = v->fd, .events = POLLIN};
	int rc = say(v, &m, 0, -1, err);

	if (rc < 0)
		return rc;
	if (poll(&p, 1, ANSWER_MS) <= 0)
		return failed(-ETIMEDOUT, err);
	if (recv(v->fd, &m, HEADER + sizeof(m.u64), MSG_WAITALL) !=
		    (ssize_t)(HEADER + sizeof(m.u64)) ||
	    m.request != GET_FEATURES || !(m.flags & IS_REPLY) || m.size != sizeof(m.u64))
		return failed(-EPROTO, err);
	*features = m.u64;
	return 0;
}

/* ---- the handshake ---- */

static int agree(struct sx_vhost_user *v, struct sx_error *err)
{
	const uint64_t want = 1ull << VIRTIO_F_VERSION_1;
	struct message owner = {.request = SET_OWNER};
	uint64_t offered;
	int rc = ask_features(v, &offered, err);

	if (rc == 0 && !(offered & want))
		rc = failed(-ENOTSUP, err);
	if (rc == 0)
		rc = say(v, &owner, 0, -1, err);
	return rc < 0 ? rc : say_number(v, SET_FEATURES, want, -1, err);
}

static int give_memory(struct sx_vhost_user *v, const struct sx_region *memory,
		       struct sx_error *err)
{
	struct message m = {
		.request = SET_MEM_TABLE,
		.memory = {.regions = 1,
			   .region = {{.size = memory->size, .user = (uintptr_t)memory->base}}},
	};

	return say(v, &m, sizeof(m.memory), memory->fd, err);
}

static int give_ring(struct sx_vhost_user *v, const struct sx_region *memory,
		     const struct sx_bench_rings *rings, uint32_t i, struct sx_error *err)
{
	const uint64_t base = (uintptr_t)memory->base;
	struct message num = {.request = SET_VRING_NUM, .state = {i, rings->size}};
	struct message from = {.request = SET_VRING_BASE, .state = {i, 0}};
	struct message addr = {
		.request = SET_VRING_ADDR,
		.addr = {.index = i,
			 .desc_user_addr = base + rings->ring[i].desc,
			 .avail_user_addr = base + rings->ring[i].avail,
			 .used_user_addr = base + rings->ring[i].used},
	};
	int rc = say(v, &num, sizeof(num.state), -1, err);

	if (rc == 0)
		rc = say(v, &from, sizeof(from.state), -1, err);
	if (rc == 0)
		rc = say(v, &addr, sizeof(addr.addr), -1, err);
	if (rc == 0)
		rc = say_number(v, SET_VRING_CALL, i, v->event[2ul * i], err);
	return rc < 0 ? rc : say_number(v, SET_VRING_KICK, i, v->event[2ul * i + 1], err);
}

static int connect_to(struct sx_vhost_user *v, const char *path, struct sx_error *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(to.sun_path))
		return sx_fail(err, -ENAMETOOLONG, "the path of a socket is too long: '%s'", path);
	memcpy(to.sun_path, path, strlen(path));
	v->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (v->fd < 0 || connect(v->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return sx_fail(err, -errno, "cannot connect to '%s': %s", path, strerror(errno));
	for (unsigned i = 0; i < 4; i++) {
		v->event[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->event[i] < 0)
			return sx_fail(err, -errno, "cannot create an eventfd: %s",
				       strerror(errno));
	}
	return 0;
}

int sx_vhost_user_open(struct sx_vhost_user *v, const char *path, const struct sx_region *memory,
		       const struct sx_bench_rings *rings, struct sx_error *err)
{
	uint64_t ignored;
	int rc;

	*v = (struct sx_vhost_user){.fd = -1, .event = {-1, -1, -1, -1}};
	rc = connect_to(v, path, err);
	if (rc == 0)
		rc = agree(v, err);
	if (rc == 0)
		rc = give_memory(v, memory, err);
	for (unsigned i = 0; rc == 0 && i < 2; i++)
		rc = give_ring(v, memory, rings, i, err);
	if (rc == 0)
		rc = ask_features(v, &ignored, err);
	if (rc < 0)
		sx_vhost_user_close(v);
	return rc;
}

void sx_vhost_user_close(struct sx_vhost_user *v)
{
	if (v->fd >= 0)
		close(v->fd);
	for (unsigned i = 0; i < 4; i++)
		if (v->event[i] >= 0)
			close(v->event[i]);
	*v = (struct sx_vhost_user){.fd = -1, .event = {-1, -1, -1, -1}};
}
