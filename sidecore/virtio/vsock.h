// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-vsock (virtio 1.2, 5.10): stream sockets between programs in the guest and UNIX stream
 * sockets of the host.
 *
 *  - Host to guest: a program connects to the socket at `path`, writes the line "CONNECT port",
 *    reads the line "OK hostport", and is then connected to what listens at that port in the guest.
 *  - Guest to host: a connection to port P of CID 2 goes to the UNIX socket at `path`_P, where a
 *    program listens.
 *
 * The model, its limits and what is refused are in docs/virtio-vsock.md.
 */
#ifndef SX_SIDECORE_VIRTIO_VSOCK_H
#define SX_SIDECORE_VIRTIO_VSOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "sidecore/virtio/device.h"

#define SX_VSOCK_HOST_CID    2u
#define SX_VSOCK_GUEST_CID   3u          /* unless another is asked for; the smallest */
#define SX_VSOCK_MAX_CID     0xfffffffeu /* one more means "any" */
#define SX_VSOCK_CONNECTIONS 1023u       /* at a time */
#define SX_VSOCK_LINES       64u /* of them, host programs that have not said their line yet */
#define SX_VSOCK_BUFFER      (128u << 10) /* bytes from the guest that a connection holds */
#define SX_VSOCK_REPLIES     256u /* to packets that belong to no connection, while rx is full */
#define SX_VSOCK_PATIENCE_MS 10000u
/* The longest path of the socket: "_4294967295" fits behind it. */
#define SX_VSOCK_PATH (sizeof(((struct sockaddr_un *)0)->sun_path) - 12)

/* Written by the group; others may look, each number stands alone. */
struct sx_virtio_vsock_stats {
	uint64_t from_guest, from_host; /* connections that were made */
	uint64_t refused;   /* asked for, and nobody listens there or there is no room */
	uint64_t expired;   /* half-open ones that took too long */
	uint64_t resets;    /* connections that we ended: malformed, or out of memory */
	uint64_t malformed; /* packets that no honest driver sends */
	uint64_t to_host_bytes, to_guest_bytes;
};

struct sx_vsock_connection;
struct sx_vsock_reply;

/* What is left is the group's. */
struct sx_virtio_vsock {
	struct sx_virtio_device dev;
	uint64_t cid;
	char path[SX_VSOCK_PATH + 1];
	dev_t file_dev; /* the socket's file, so that we remove no other */
	ino_t file_ino;
	int listen_fd, epoll_fd, timer_fd;

	bool running;    /* both queues */
	bool acceptable; /* somebody may wait at listen_fd */
	bool short_of;   /* descriptors; accepting is tried again at the next tick */
	bool ticking;
	uint64_t tick_ns;
	uint64_t look_at; /* TSC: sockets are looked at again; see vsock.c */

	struct sx_vsock_connection *connection;
	unsigned fresh; /* so many entries were ever used */
	unsigned open;  /* so many are */
	unsigned lines; /* of them, so many in each half-open state */
	unsigned requests;
	uint16_t free;        /* the first of a list */
	uint16_t first, last; /* of the list of those with something for the guest */
	uint16_t *bucket;     /* by ports */
	uint32_t next_port;

	struct sx_vsock_reply *reply; /* a ring of SX_VSOCK_REPLIES */
	uint32_t replies_in, replies_out;
	struct sx_virtio_vsock_stats stats;
};

struct sx_virtio_vsock_config {
	const char *path;
	uint64_t cid;         /* 0: SX_VSOCK_GUEST_CID */
	unsigned patience_ms; /* 0: SX_VSOCK_PATIENCE_MS; how long something may be half-open */
};

/* Listens at config->path from now on; a file there that nobody listens at is replaced. */
int sx_virtio_vsock_init(struct sx_virtio_vsock *v, const struct sx_virtio_vsock_config *config,
			 const struct sx_virtio_env *env, struct sx_error *err);
/* Removes the socket's file. No thread runs it any more. Safe on a zeroed struct. */
void sx_virtio_vsock_destroy(struct sx_virtio_vsock *v);

#endif
