// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: a driver that negotiates anything, and gives virtio-net any chain on any of its queues,
 * while frames come from the other side, the cable is pulled, and guest memory changes at will.
 *
 * Input: a byte of set-up, eight of features, then a list of steps, each an enum step and what it
 * wants. Every frame that reaches the other side must be one that was allowed; as long as the
 * driver's rings are left alone, the driver must get back what is its own.
 */
#include <linux/virtio_pci.h>
#include <string.h>

#include "sidecore/backend/net_pair.h"
#include "sidecore/virtio/net.h"
#include "tests/support/fuzz_input.h"
#include "tests/support/virtio_world.h"

#define MAX_STEPS  256
#define MEMORY     (1u << 20)
#define DATA       (128u << 10) /* of it, for buffers */
#define PAIRS      2
#define RING       16
#define FIFO_BYTES (256u << 10)

enum step {
	GIVE_CHAIN, /* queue, 1 byte: how many buffers of each kind; for each: where, how long */
	SEND_FRAME, /* header and length: an honest cut, any header */
	COMMAND,    /* class, command, length: data is what lies there */
	NOTIFY,     /* queue */
	TURN,
	TAKE,      /* queue: what was used */
	FROM_PEER, /* flags, type, length: the other side sends */
	POKE,      /* where, what: anywhere in memory */
	CABLE,     /* in or out */
	RESET,     /* and negotiate the next eight bytes */
	STEPS,
};

struct world {
	struct vw_world w;
	struct sx_net_backend *end[2];
	struct sx_virtio_net net;
	struct sx_virtio_pci pci;
	struct vw_driver d;
	sx_gpa data;
	bool poked; /* the rings may be anything */
};

static uint8_t bytes[SX_NET_MAX_FRAME];

/* ---- what must hold ---- */

static bool has(const struct world *w, unsigned bit)
{
	return w->d.features & SX_NET_BIT(bit);
}

static bool may_segment(const struct world *w, uint8_t type)
{
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return has(w, VIRTIO_NET_F_HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return has(w, VIRTIO_NET_F_HOST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP:
		return has(w, VIRTIO_NET_F_HOST_UFO);
	default:
		return false;
	}
}

static void check_frame(const struct world *w, const struct sx_net_frame *f)
{
	const struct virtio_net_hdr_v1 *h = &f->hdr;

	fuzz_require(f->len >= SX_NET_MIN_FRAME && f->len <= SX_NET_MAX_FRAME);
	fuzz_require(!(h->flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM));
	if (h->flags) {
		fuzz_require(has(w, VIRTIO_NET_F_CSUM));
		fuzz_require((uint64_t)h->csum_start + h->csum_offset + 2 <= f->len);
	}
	if (!h->gso_type)
		return;
	fuzz_require(may_segment(w, h->gso_type) && h->flags && h->gso_size);
	fuzz_require(!(h->gso_type & VIRTIO_NET_HDR_GSO_ECN) || has(w, VIRTIO_NET_F_HOST_ECN));
	fuzz_require(h->hdr_len <= f->len && h->csum_start + 8u <= f->len);
}

static void take_frames(struct world *w)
{
	struct sx_net_frame f[8];
	unsigned n;

	for (unsigned q = 0; q < PAIRS; q++)
		while ((n = w->end[1]->ops->peek(w->end[1], q, f, 8))) {
			for (unsigned i = 0; i < n; i++)
				check_frame(w, &f[i]);
			w->end[1]->ops->release(w->end[1], q, n);
		}
}

static void take_used(struct world *w, unsigned queue)
{
	struct vd_queue *q = &w->d.queue[queue];
	uint32_t len;
	void *token;
	int rc;

	while ((rc = vd_take(q, &token, &len)) == 1)
		;
	fuzz_require(rc == 0 || w->poked);
}

/* ---- steps ---- */

static void bring_up(struct world *w, uint64_t features)
{
	vw_stop(&w->d);
	sx_virtio_device_poll(&w->net.dev);
	fuzz_require(vw_status(&w->d) == 0);
	w->poked = false;
	w->w.memory.used = DATA + 4096;
	if (vw_negotiate(&w->d, features) < 0)
		return;
	for (unsigned i = 0; i < 2 * PAIRS + 1; i++)
		vw_add_queue(&w->d, RING);
	vw_start(&w->d);
}

static sx_gpa place(struct fuzz_input *in)
{
	return fuzz_take(in, 3) % (DATA + 64);
}

static void give_chain(struct world *w, struct fuzz_input *in)
{
	unsigned queue = (unsigned)fuzz_take(in, 1) % (2 * PAIRS + 1);
	unsigned kinds = (unsigned)fuzz_take(in, 1);
	unsigned readable = kinds % 4, writable = kinds / 4 % 4;
	struct vd_buffer b[6];

	for (unsigned i = 0; i < readable + writable; i++) {
		b[i].gpa = w->data + place(in);
		b[i].len = (uint32_t)fuzz_take(in, 2);
	}
	/* A driver that is as honest as the ring goes: no empty chain, no more than there is room.
	 */
	if (queue < w->d.queues && readable + writable)
		(void)vd_add(&w->d.queue[queue], b, readable, writable, NULL);
}

static void send_frame(struct world *w, struct fuzz_input *in)
{
	unsigned queue = 1 + 2 * ((unsigned)fuzz_take(in, 1) % PAIRS);
	sx_gpa at = w->data + place(in) % DATA / 2;
	uint8_t *hdr = vd_at(&w->w.memory, at);
	struct vd_buffer b[2] = {{at, SX_NET_HEADER}, {w->data, 0}};

	for (unsigned i = 0; i < 10; i++)
		hdr[i] = (uint8_t)fuzz_take(in, 1);
	b[1].len = (uint32_t)fuzz_take(in, 2) + 1;
	if (queue < w->d.queues)
		(void)vd_add(&w->d.queue[queue], b, 2, 0, NULL);
}

static void command(struct world *w, struct fuzz_input *in)
{
	unsigned queue = w->d.features & SX_NET_BIT(VIRTIO_NET_F_MQ) ? 2 * PAIRS : 2;
	sx_gpa at = w->data + place(in) % DATA / 2;
	uint8_t *p = vd_at(&w->w.memory, at);
	unsigned len;

	p[0] = (uint8_t)fuzz_take(in, 1) % 8;
	p[1] = (uint8_t)fuzz_take(in, 1) % 8;
	len = (unsigned)fuzz_take(in, 1);
	for (unsigned i = 0; i < len && i < 16; i++)
		p[2 + i] = (uint8_t)fuzz_take(in, 1);
	if (queue < w->d.queues)
		(void)vd_add(&w->d.queue[queue],
			     (struct vd_buffer[]){{at, 2 + len}, {at + 2 + len, 1}}, 1, 1, NULL);
}

static void from_peer(struct world *w, struct fuzz_input *in)
{
	struct sx_net_frame f = {.segs = 1};
	unsigned queue = (unsigned)fuzz_take(in, 1) % PAIRS;

	f.hdr.flags = (uint8_t)fuzz_take(in, 1) & 3;
	f.hdr.gso_type = (uint8_t)fuzz_take(in, 1);
	f.len = (uint32_t)fuzz_take(in, 2);
	for (unsigned i = 0; i < 18; i++)
		bytes[i] = (uint8_t)fuzz_take(in, 1);
	f.own = (struct iovec){bytes, f.len};
	f.seg = &f.own;
	(void)w->end[1]->ops->send(w->end[1], queue, &f, 1);
}

static void poke(struct world *w, struct fuzz_input *in)
{
	uint64_t at = fuzz_take(in, 3) % (w->w.memory.size - 8);
	uint64_t value = fuzz_take(in, 4);

	if (at + 8 > w->data + DATA)
		w->poked = true;
	memcpy(w->w.memory.base + at, &value, 4);
}

static void step(struct world *w, struct fuzz_input *in)
{
	unsigned queue;

	switch (fuzz_take(in, 1) % STEPS) {
	case GIVE_CHAIN:
		give_chain(w, in);
		break;
	case SEND_FRAME:
		send_frame(w, in);
		break;
	case COMMAND:
		command(w, in);
		break;
	case NOTIFY:
		queue = (unsigned)fuzz_take(in, 1) % (2 * PAIRS + 1);
		if (queue < w->d.queues)
			vw_kick(&w->d, queue);
		break;
	case TURN:
		sx_virtio_device_poll(&w->net.dev);
		take_frames(w);
		break;
	case TAKE:
		queue = (unsigned)fuzz_take(in, 1) % (2 * PAIRS + 1);
		if (queue < w->d.queues)
			take_used(w, queue);
		break;
	case FROM_PEER:
		from_peer(w, in);
		break;
	case POKE:
		poke(w, in);
		break;
	case CABLE:
		sx_virtio_net_set_link(&w->net, fuzz_take(in, 1) & 1);
		break;
	case RESET:
		take_frames(w);
		bring_up(w, fuzz_take(in, 8));
		break;
	}
}

static void set_up(struct world *w, struct sx_net_backend *const end[2], struct fuzz_input *in)
{
	struct sx_virtio_net_config config = {.mac = {2, 0, 0, 0, 0, 1}, .queue_size = RING};
	uint64_t how = fuzz_take(in, 1);
	struct sx_virtio_env env;

	memset(w, 0, sizeof(*w));
	vw_init(&w->w, MEMORY);
	env = vw_env(&w->w, how & 1);
	w->end[0] = end[0];
	w->end[1] = end[1];
	w->end[0]->mtu = how & 2 ? 1500 : 0;
	config.backend = w->end[0];
	if (sx_virtio_net_init(&w->net, &config, &env, NULL) < 0 ||
	    sx_virtio_pci_init(&w->pci, &w->net.dev, &w->w.host, SX_PCI_ANY, NULL) < 0 ||
	    vw_probe(&w->d, &w->w, w->pci.function.devfn) < 0)
		abort();
	w->data = vd_alloc(&w->w.memory, DATA, 4096);
	bring_up(w, fuzz_take(in, 8));
}

static void tear_down(struct world *w)
{
	vw_stop(&w->d);
	sx_virtio_pci_destroy(&w->pci);
	sx_virtio_net_destroy(&w->net);
	vw_destroy(&w->w);
}

/* What the driver never took. */
static void drain(struct sx_net_backend *end)
{
	struct sx_net_frame f[8];
	unsigned n;

	for (unsigned q = 0; q < PAIRS; q++)
		while ((n = end->ops->peek(end, q, f, 8)))
			end->ops->release(end, q, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct fuzz_input in = {data, length};
	static struct sx_net_backend *end[2]; /* made once: they are large */
	static struct world w;

	if (!end[0] && sx_net_pair_open(end, PAIRS, FIFO_BYTES, NULL) < 0)
		abort();
	set_up(&w, end, &in);
	for (unsigned i = 0; i < MAX_STEPS && in.left; i++)
		step(&w, &in);
	sx_virtio_device_poll(&w.net.dev);
	take_frames(&w);
	tear_down(&w);
	drain(end[0]);
	return 0;
}
