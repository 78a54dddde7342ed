// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: a driver that sends virtio-vsock any packet, gives it any buffer and scribbles over its
 * memory, while programs of the host connect, write, read, half-close and vanish.
 *
 * Input: a byte of set-up (mode and ring features), then a list of steps, each an enum step and
 * what it wants. As long as the driver's rings are left alone it must get back what is its own,
 * and each packet that it gets must be one that a device may send. At any time the table of
 * connections must hold what it says.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sidecore/virtio/vsock_internal.h"
#include "tests/support/fuzz_input.h"
#include "tests/support/virtio_world.h"

#define MAX_STEPS 256
#define MEMORY    (1u << 20)
#define DATA      (256u << 10)  /* of it, for what is sent */
#define SLOT      (16ull << 10) /* and for each buffer that is posted */
#define RING      16
#define PROGRAMS  8
#define CID       3u
#define PORT      52u
#define SERVICE   99u

enum step {
	SEND,    /* operation, kind, which ports, 2 bytes each: length, buffer, room */
	POST,    /* how many, 2 bytes how large */
	CHAIN,   /* queue, how many of each kind, for each: 3 bytes where, 2 how long */
	TURN,    /* how many */
	TAKE,    /* what was sent, and came */
	CONNECT, /* which program, and what it says */
	ACCEPT,  /* which */
	WRITE,   /* which, 2 bytes how much */
	READ,    /* which, 2 bytes how much */
	LEAVE,   /* which, how */
	POKE,    /* 3 bytes where, 4 what */
	RESET,
	STEPS,
};

struct world {
	struct vw_world w;
	struct sx_virtio_vsock v;
	struct sx_virtio_pci pci;
	struct vw_driver d;
	uint64_t features;
	sx_gpa data;
	size_t next;    /* in it, for what is sent */
	unsigned posts; /* slots behind it, which come back in their order */
	bool poked;     /* anything may be anything */
	int program[PROGRAMS];
	struct virtio_vsock_hdr last; /* that came */
};

/* Made once: a directory, and who listens for the guest's connections. */
static char path[64];
static int listener = -1;
static uint8_t bytes[1 << 16];

/* ---- what must hold ---- */

static void check_packet(const struct world *w, const struct virtio_vsock_hdr *h, uint32_t len)
{
	fuzz_require(len >= SX_VSOCK_HDR && h->len == len - SX_VSOCK_HDR);
	fuzz_require(h->dst_cid == w->v.cid);
	fuzz_require(h->op >= VIRTIO_VSOCK_OP_REQUEST && h->op <= VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	fuzz_require((h->op == VIRTIO_VSOCK_OP_RW) == (h->len > 0));
	fuzz_require((h->op == VIRTIO_VSOCK_OP_SHUTDOWN) == (h->flags != 0));
	if (h->op == VIRTIO_VSOCK_OP_RST)
		return;
	fuzz_require(h->src_cid == SX_VSOCK_HOST_CID && h->type == VIRTIO_VSOCK_TYPE_STREAM);
	fuzz_require(h->buf_alloc == SX_VSOCK_BUFFER);
}

static void check_table(struct sx_virtio_vsock *v)
{
	unsigned open = 0, lines = 0, requests = 0, listed = 0, walked = 0;

	for (unsigned i = 0; i < v->fresh; i++) {
		const struct sx_vsock_connection *c = &v->connection[i];

		if (c->state == SX_VSOCK_FREE)
			continue;
		open++;
		lines += c->state == SX_VSOCK_LINE;
		requests += c->state == SX_VSOCK_REQUESTED;
		listed += c->listed;
		fuzz_require(c->held <= SX_VSOCK_BUFFER && !c->held == !c->buffer);
		fuzz_require(c->fd >= 0 || !c->held);
		fuzz_require(c->received - c->forwarded == c->held || c->state == SX_VSOCK_ENDING);
		fuzz_require(c->sent - c->guest_taken <= SX_VSOCK_WINDOW);
		fuzz_require(!c->pending || c->listed);
		fuzz_require(!c->hashed || sx_vsock_find(v, c->host_port, c->guest_port) == c);
	}
	for (uint16_t i = v->first; i != SX_VSOCK_NONE; i = v->connection[i].next, walked++)
		fuzz_require(v->connection[i].listed);
	fuzz_require(open == v->open && lines == v->lines && requests == v->requests);
	fuzz_require(listed == walked && lines <= SX_VSOCK_LINES);
	fuzz_require(v->replies_in - v->replies_out <= SX_VSOCK_REPLIES);
}

/* ---- the driver ---- */

static void bring_up(struct world *w)
{
	vw_stop(&w->d);
	sx_virtio_device_poll(&w->v.dev);
	fuzz_require(vw_status(&w->d) == 0);
	fuzz_require(w->v.lines + w->v.requests == 0 && w->v.first == SX_VSOCK_NONE);
	w->poked = false;
	w->w.memory.used = w->data + DATA + RING * SLOT;
	fuzz_require(vw_negotiate(&w->d, w->features) == 0);
	for (unsigned i = 0; i < SX_VSOCK_QUEUES; i++)
		vw_add_queue(&w->d, RING);
	vw_start(&w->d);
	sx_virtio_device_poll(&w->v.dev);
}

/* Room for what is sent, one after the other. */
static sx_gpa room(struct world *w, size_t len)
{
	sx_gpa at;

	if (w->next + len > DATA)
		w->next = 0;
	at = w->data + w->next;
	w->next += len;
	return at;
}

static uint32_t host_port(const struct world *w, unsigned which)
{
	return which == 0 ? w->last.src_port : which == 1 ? SERVICE : SX_VSOCK_FIRST_PORT + which;
}

static void send_packet(struct world *w, struct fuzz_input *in)
{
	struct virtio_vsock_hdr h = {.src_cid = CID, .dst_cid = SX_VSOCK_HOST_CID};
	unsigned kind, ports;
	uint32_t len;
	sx_gpa at;

	h.op = (uint16_t)(fuzz_take(in, 1) % 10);
	kind = (unsigned)fuzz_take(in, 1);
	ports = (unsigned)fuzz_take(in, 1);
	len = (uint32_t)fuzz_take(in, 2);
	h.len = kind & 1 ? (uint32_t)fuzz_take(in, 2) : len;
	h.buf_alloc = (uint32_t)fuzz_take(in, 2);
	h.type = kind & 2 ? (uint16_t)(kind >> 4) : VIRTIO_VSOCK_TYPE_STREAM;
	h.flags = kind >> 6;
	h.src_cid += kind >> 2 & !(ports & 0xc0);
	h.dst_cid += kind >> 3 & !(ports & 0xc0);
	h.fwd_cnt = kind & 4 ? (uint32_t)fuzz_take(in, 4) : 0;
	h.dst_port = host_port(w, ports & 3);
	h.src_port = ports & 4 ? w->last.dst_port : ports >> 3 & 3;
	at = room(w, SX_VSOCK_HDR + len);
	memcpy(vd_at(&w->w.memory, at), &h, sizeof(h));
	if (vd_add(&w->d.queue[SX_VSOCK_TX],
		   (struct vd_buffer[]){{at, SX_VSOCK_HDR}, {at + SX_VSOCK_HDR, len}}, len ? 2 : 1,
		   0, NULL) == 0)
		vw_kick(&w->d, SX_VSOCK_TX);
}

static void post(struct world *w, struct fuzz_input *in)
{
	unsigned count = (unsigned)fuzz_take(in, 1) % (RING + 1);
	uint32_t size = (uint32_t)fuzz_take(in, 2) % 8192 + 1;

	for (; count; count--) {
		sx_gpa at = w->data + DATA + w->posts % RING * SLOT;
		const struct vd_buffer b[2] = {{at, SX_VSOCK_HDR}, {at + SX_VSOCK_HDR, size}};

		if (vd_add(&w->d.queue[SX_VSOCK_RX], b, 0, 2, vd_at(&w->w.memory, at)) < 0)
			break;
		w->posts++;
	}
	vw_kick(&w->d, SX_VSOCK_RX);
}

static void give_chain(struct world *w, struct fuzz_input *in)
{
	unsigned queue = (unsigned)fuzz_take(in, 1) % SX_VSOCK_QUEUES;
	unsigned kinds = (unsigned)fuzz_take(in, 1);
	unsigned out = kinds % 4, write = kinds / 4 % 4;
	struct vd_buffer b[6];

	for (unsigned i = 0; i < out + write; i++) {
		b[i].gpa = w->data + fuzz_take(in, 3) % (DATA + RING * SLOT + 64);
		b[i].len = (uint32_t)fuzz_take(in, 2);
	}
	/* It may lie upon a ring, and its packet is no packet. */
	w->poked = true;
	if (out + write && vd_add(&w->d.queue[queue], b, out, write, w->w.memory.base) == 0)
		vw_kick(&w->d, queue);
}

static void take(struct world *w)
{
	uint32_t len;
	void *token;
	int rc;

	while ((rc = vd_take(&w->d.queue[SX_VSOCK_TX], &token, &len)) == 1)
		fuzz_require(len == 0 || w->poked);
	fuzz_require(rc == 0 || w->poked);
	while ((rc = vd_take(&w->d.queue[SX_VSOCK_RX], &token, &len)) == 1) {
		memcpy(&w->last, token, sizeof(w->last));
		if (!w->poked)
			check_packet(w, &w->last, len);
	}
	fuzz_require(rc == 0 || w->poked);
}

static void poke(struct world *w, struct fuzz_input *in)
{
	uint64_t at = fuzz_take(in, 3) % (w->w.memory.size - 8);
	uint64_t value = fuzz_take(in, 4);

	w->poked = true;
	memcpy(w->w.memory.base + at, &value, 4);
}

/* ---- the host's programs ---- */

static struct sockaddr_un address(const char *suffix)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", path, suffix);
	return a;
}

static void leave(int *program)
{
	if (*program >= 0)
		close(*program);
	*program = -1;
}

static void come(int *program, unsigned what)
{
	static const char *const line[] = {
		"CONNECT 52\n", "CONNECT 52\nand more", "CONN",          "",
		"ECT 52\n",     "CONNECT 4294967295\n", "connect 1\r\n", "GET /\n"};
	const struct sockaddr_un a = address("");
	const char *text = line[what % 8];

	leave(program);
	*program = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Where the backlog is full it stays without a connection. */
	if (connect(*program, (const struct sockaddr *)&a, sizeof(a)) == 0)
		(void)!send(*program, text, strlen(text), MSG_NOSIGNAL);
}

static void be_a_program(struct world *w, enum step what, struct fuzz_input *in)
{
	int *program = &w->program[fuzz_take(in, 1) % PROGRAMS];
	unsigned value = (unsigned)fuzz_take(in, what == WRITE || what == READ ? 2 : 1);

	if (what == CONNECT)
		come(program, value);
	else if (what == ACCEPT && *program < 0)
		*program = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	else if (*program < 0)
		return;
	else if (what == WRITE)
		(void)!send(*program, bytes, value, MSG_NOSIGNAL);
	else if (what == READ)
		(void)!recv(*program, bytes, value, 0);
	else if (what == LEAVE && value % 4 < 3)
		shutdown(*program, (int)(value % 4));
	else if (what == LEAVE)
		leave(program);
}

/* ---- a run ---- */

static void step(struct world *w, struct fuzz_input *in)
{
	enum step what = (enum step)(fuzz_take(in, 1) % STEPS);

	switch (what) {
	case SEND:
		send_packet(w, in);
		break;
	case POST:
		post(w, in);
		break;
	case CHAIN:
		give_chain(w, in);
		break;
	case TURN:
		w->v.look_at = 0; /* looks are paced by the clock; here by us */
		sx_virtio_device_poll(&w->v.dev);
		break;
	case TAKE:
		take(w);
		break;
	case POKE:
		poke(w, in);
		break;
	case RESET:
		bring_up(w);
		break;
	default:
		be_a_program(w, what, in);
	}
	check_table(&w->v);
}

static void set_up(struct world *w, struct fuzz_input *in)
{
	const struct sx_virtio_vsock_config config = {.path = path, .cid = CID};
	uint64_t how = fuzz_take(in, 1);
	struct sx_virtio_env env;

	memset(w, 0, sizeof(*w));
	vw_init(&w->w, MEMORY);
	env = vw_env(&w->w, how & 1);
	w->features = (how & 2 ? SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0) |
		      (how & 4 ? SX_VIRTIO_BIT(VIRTIO_F_IN_ORDER) : 0) |
		      (how & 8 ? SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) : 0) |
		      (how & 16 ? SX_VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0) | 1;
	if (sx_virtio_vsock_init(&w->v, &config, &env, NULL) < 0 ||
	    sx_virtio_pci_init(&w->pci, &w->v.dev, &w->w.host, SX_PCI_ANY, NULL) < 0 ||
	    vw_probe(&w->d, &w->w, w->pci.function.devfn) < 0)
		abort();
	w->data = vd_alloc(&w->w.memory, DATA + RING * SLOT, 4096);
	for (unsigned i = 0; i < PROGRAMS; i++)
		w->program[i] = -1;
	bring_up(w);
}

static void tear_down(struct world *w)
{
	int fd;

	vw_stop(&w->d);
	sx_virtio_pci_destroy(&w->pci);
	sx_virtio_vsock_destroy(&w->v);
	fuzz_require(access(path, F_OK) < 0);
	vw_destroy(&w->w);
	for (unsigned i = 0; i < PROGRAMS; i++)
		leave(&w->program[i]);
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		close(fd);
}

static void remove_files(void)
{
	const struct sockaddr_un a = address("_99");

	unlink(a.sun_path);
	*strrchr(path, '/') = 0;
	rmdir(path);
}

static void listen_once(void)
{
	char dir[] = "/tmp/fuzz-vsock-XXXXXX";
	struct sockaddr_un a;

	if (listener >= 0)
		return;
	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/s", dir);
	a = address("_99");
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(listener, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(listener, 64) < 0)
		abort();
	atexit(remove_files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct fuzz_input in = {data, length};
	static struct world w;

	listen_once();
	set_up(&w, &in);
	for (unsigned i = 0; i < MAX_STEPS && in.left; i++)
		step(&w, &in);
	tear_down(&w);
	return 0;
}
