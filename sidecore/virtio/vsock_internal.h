// SPDX-License-Identifier: BSD-3-Clause
/*
 * Between the files of virtio-vsock. All of it runs on the group's thread.
 *
 * A connection's life:
 *
 *   LINE       a host program has connected and not said its line yet
 *   REQUESTED  it has; the guest was or is to be asked
 *   OPEN
 *   ENDING     the guest has heard, or will, that it is over (RST); the host may still get bytes
 *
 * A guest's own connection begins as OPEN, for whoever listens on a UNIX socket answers at once.
 */
#ifndef SX_SIDECORE_VIRTIO_VSOCK_INTERNAL_H
#define SX_SIDECORE_VIRTIO_VSOCK_INTERNAL_H

#include <linux/virtio_vsock.h>

#include "ipc/wire/types.h"
#include "sidecore/virtio/vsock.h"

#define SX_VSOCK_RX      0u /* queues (5.10.2) */
#define SX_VSOCK_TX      1u
#define SX_VSOCK_QUEUES  3u
#define SX_VSOCK_SEGS    128u /* of a chain: a driver makes none longer than its queue */
#define SX_VSOCK_HDR     ((uint32_t)sizeof(struct virtio_vsock_hdr))
#define SX_VSOCK_SHUT    (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
#define SX_VSOCK_NONE    UINT16_MAX
#define SX_VSOCK_BUCKETS 1024u
/* Ports that we pick; above what people choose for services. */
#define SX_VSOCK_FIRST_PORT (1u << 30)
#define SX_VSOCK_LAST_PORT  ((1u << 31) - 1)
#define SX_VSOCK_TICKS      4u /* in the time of patience */
/* More is never on its way to the guest, so that its counts cannot be taken for others. */
#define SX_VSOCK_WINDOW (16u << 20)

enum sx_vsock_state {
	SX_VSOCK_FREE,
	SX_VSOCK_LINE,
	SX_VSOCK_REQUESTED,
	SX_VSOCK_OPEN,
	SX_VSOCK_ENDING,
};

/* Packets that a connection has for the guest, apart from data. */
enum sx_vsock_pending {
	SX_VSOCK_RST = 1 << 0,
	SX_VSOCK_REQUEST = 1 << 1,
	SX_VSOCK_RESPONSE = 1 << 2,
	SX_VSOCK_SHUTDOWN = 1 << 3,
	SX_VSOCK_UPDATE = 1 << 4, /* of credit */
	SX_VSOCK_ASK = 1 << 5,    /* for credit */
};

struct sx_vsock_connection {
	int fd; /* -1: the host's end is closed */
	uint8_t state;
	uint8_t pending;
	uint8_t host_shut;       /* VIRTIO_VSOCK_SHUTDOWN_: what the host's program will not do */
	uint8_t guest_shut;      /* what the guest will not do */
	bool readable, writable; /* as far as is known; a call that would block says no */
	bool end_told;           /* the host's program knows that the guest sends no more */
	bool asked;              /* for credit, and it has not come */
	bool listed;             /* among those with something for the guest */
	bool hashed;             /* can be found by its ports */
	uint8_t ticks;           /* since it became half-open */
	uint32_t generation;     /* of this entry; so that late events are not taken for new ones */
	uint16_t next, previous; /* in the list; `next` also among free ones */
	uint16_t chain;          /* the next one with the same hash */
	uint32_t host_port, guest_port;

	/* From the guest; all counts are bytes modulo 2^32 (5.10.6.3). */
	uint32_t received;
	uint32_t forwarded; /* of them, to the host's socket */
	uint32_t told;      /* `forwarded` as of the last packet to the guest */
	uint8_t *buffer;    /* a ring of SX_VSOCK_BUFFER; NULL while nothing is held */
	uint32_t held_at, held;

	/* To the guest. */
	uint32_t sent;
	uint32_t guest_room;  /* its buf_alloc */
	uint32_t guest_taken; /* its fwd_cnt */
};

/* An answer to a packet of no connection: RST. */
struct sx_vsock_reply {
	uint64_t src_cid;
	uint32_t src_port, dst_port;
	uint16_t type;
};

/* ---- vsock_conn.c ---- */

/* A new one, not to be found by its ports yet; NULL: there is no room. Takes @fd in any case. */
struct sx_vsock_connection *sx_vsock_new(struct sx_virtio_vsock *v, int fd, uint8_t state);
/* Forget it, and close the host's end. */
void sx_vsock_drop(struct sx_virtio_vsock *v, struct sx_vsock_connection *c);
/* The one with these ports; NULL: there is none. */
struct sx_vsock_connection *sx_vsock_find(struct sx_virtio_vsock *v, uint32_t host_port,
					  uint32_t guest_port);
void sx_vsock_hash(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint32_t host_port,
		   uint32_t guest_port);
void sx_vsock_unhash(struct sx_virtio_vsock *v, struct sx_vsock_connection *c);
/* A free port of the host's for a connection to @guest_port. */
uint32_t sx_vsock_pick_port(struct sx_virtio_vsock *v, uint32_t guest_port);
void sx_vsock_set_state(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint8_t state);

/* It has @pending for the guest now (0: data, perhaps). */
void sx_vsock_want(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint8_t pending);
/* Put it at the end of that list, or take it off if it has nothing more. */
void sx_vsock_requeue(struct sx_virtio_vsock *v, struct sx_vsock_connection *c);
/* So many bytes the guest may be sent. */
uint32_t sx_vsock_credit(const struct sx_vsock_connection *c);
/* Is there, perhaps, data for a guest that takes it? Credit apart. */
bool sx_vsock_has_data(const struct sx_vsock_connection *c);

/* End it by RST. What is held for the host still goes there with @linger. */
void sx_vsock_end(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, bool linger);
/* The same at once, for something that is wrong with it. */
void sx_vsock_reset(struct sx_virtio_vsock *v, struct sx_vsock_connection *c);
/* It is in state ENDING: drop it if nothing is left to be done. */
void sx_vsock_try_drop(struct sx_virtio_vsock *v, struct sx_vsock_connection *c);
/* Are we out of descriptors? Then accepting is tried again at the next tick. */
void sx_vsock_run_short(struct sx_virtio_vsock *v, bool is);
/* A quarter of the time of patience has passed. */
void sx_vsock_tick(struct sx_virtio_vsock *v);
/* The driver is gone, and with it all connections; bytes that it sent still go to the host. */
void sx_vsock_drop_all(struct sx_virtio_vsock *v);

/* ---- vsock_listen.c ---- */

int sx_vsock_listen(struct sx_virtio_vsock *v, const char *path, struct sx_error *err);
void sx_vsock_unlisten(struct sx_virtio_vsock *v);

/* ---- vsock_host.c ---- */

/* Events of the host's sockets; returns how many. */
unsigned sx_vsock_look(struct sx_virtio_vsock *v);
/* Take host programs in that wait. */
unsigned sx_vsock_accept(struct sx_virtio_vsock *v);
/* Watch the listening socket and the timer; 0 or a negative errno. */
int sx_vsock_watch_own(const struct sx_virtio_vsock *v);
/* Watch a new connection's socket; false: it cannot be watched. */
bool sx_vsock_watch(struct sx_virtio_vsock *v, struct sx_vsock_connection *c);
/* A socket that is connected to who listens for the guest's connections to @port; -1: none. */
int sx_vsock_connect(const struct sx_virtio_vsock *v, uint32_t port);
/* The guest has answered: tell the host's program. */
void sx_vsock_say_ok(struct sx_virtio_vsock *v, struct sx_vsock_connection *c);
/* Send the guest's @len bytes, which begin behind the header; what the host does not take is held.
 */
void sx_vsock_send(struct sx_virtio_vsock *v, struct sx_vsock_connection *c,
		   const struct sx_vq_chain *chain, uint32_t len);
/* The host's program receives (RCV) or sends (SEND) no more. */
void sx_vsock_host_shut(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint8_t how);
/* The guest does not; takes effect once all that is held was sent. */
void sx_vsock_guest_shut(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint8_t how);

/* ---- vsock_tx.c, vsock_rx.c: a turn's work; how many packets ---- */

unsigned sx_vsock_transmit(struct sx_virtio_vsock *v, struct sx_virtqueue *vq);
unsigned sx_vsock_receive(struct sx_virtio_vsock *v, struct sx_virtqueue *vq);

#endif
