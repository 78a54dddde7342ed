// SPDX-License-Identifier: BSD-3-Clause
#include "bench/net_bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sidecore/virtio/net.h"

#define SLOTS      256u
#define SLOT_BYTES 2048u

struct slot {
	struct virtio_net_hdr_v1 hdr;
	uint32_t len;
	union {
		struct sx_bench_frame frame;
		uint8_t bytes[SLOT_BYTES - sizeof(struct virtio_net_hdr_v1) - sizeof(uint32_t)];
	};
};

struct port {
	struct sx_net_backend b;
	enum sx_net_bench_mode mode;
	unsigned in, out; /* slots [out, in) hold frames to be sent back */
	uint64_t sequence;
	int ready; /* an eventfd, readable in a source: there is always something to receive */
	struct slot slot[SLOTS];
};

struct net_bench {
	struct sx_virtio_net net;
	struct port port;
};

static struct port *port_of(struct sx_net_backend *b)
{
	return (struct port *)b;
}

/* ---- from the guest ---- */

static void keep(struct slot *s, const struct sx_net_frame *f)
{
	uint8_t *to = s->bytes;

	s->hdr = f->hdr;
	s->len = f->len;
	for (unsigned i = 0; i < f->segs; i++) {
		memcpy(to, f->seg[i].iov_base, f->seg[i].iov_len);
		to += f->seg[i].iov_len;
	}
}

static unsigned port_send(struct sx_net_backend *b, unsigned queue,
			  const struct sx_net_frame *frame, unsigned count)
{
	struct port *p = port_of(b);
	unsigned n;

	(void)queue;
	for (n = 0; n < count; n++) {
		if (p->mode != SX_NET_REFLECTOR)
			p->in = p->out = 0;
		if (frame[n].len > sizeof(p->slot[0].bytes))
			sx_net_drop(b, 1);
		else if (p->in == SLOTS)
			break;
		else
			keep(&p->slot[p->in++], &frame[n]);
	}
	return n;
}

/* ---- to the guest ---- */

static void show(struct slot *s, struct sx_net_frame *f)
{
	f->hdr = s->hdr;
	f->len = s->len;
	f->segs = 1;
	f->own = (struct iovec){.iov_base = s->bytes, .iov_len = s->len};
	f->seg = &f->own;
}

static unsigned port_peek(struct sx_net_backend *b, unsigned queue, struct sx_net_frame *frame,
			  unsigned max)
{
	struct port *p = port_of(b);
	unsigned n;

	(void)queue;
	if (p->mode == SX_NET_SINK)
		return 0;
	for (n = 0; n < max && p->out + n < p->in; n++) {
		struct slot *s = &p->slot[p->out + n];

		if (p->mode == SX_NET_SOURCE) {
			s->frame.sequence = p->sequence + n;
			s->bytes[s->len - 1] = (uint8_t)s->frame.sequence;
		}
		show(s, &frame[n]);
	}
	return n;
}

/* A source's frames never run out. Slots are used from the first one on: those are cached. */
static void port_release(struct sx_net_backend *b, unsigned queue, unsigned count)
{
	struct port *p = port_of(b);

	(void)queue;
	p->sequence += count;
	if (p->mode == SX_NET_SOURCE)
		return;
	p->out += count;
	if (p->out == p->in)
		p->in = p->out = 0;
}

/* ---- the rest of a back end ---- */

static int port_wake_fd(struct sx_net_backend *b, unsigned queue)
{
	(void)queue;
	return port_of(b)->ready;
}

static int port_set_offloads(struct sx_net_backend *b, uint64_t offloads)
{
	(void)b;
	return offloads ? -ENOTSUP : 0;
}

static int port_set_queues(struct sx_net_backend *b, unsigned queues)
{
	(void)b;
	return queues == 1 ? 0 : -EINVAL;
}

static void port_destroy(struct sx_net_backend *b)
{
	close(port_of(b)->ready);
}

static const struct sx_net_ops ops = {
	.name = "bench",
	.send = port_send,
	.peek = port_peek,
	.release = port_release,
	.wake_fd = port_wake_fd,
	.set_offloads = port_set_offloads,
	.set_queues = port_set_queues,
	.destroy = port_destroy,
};

/* ---- modes ---- */

static void make_frame(struct slot *s, uint32_t bytes)
{
	static const uint8_t mac[6] = SX_BENCH_MAC;

	memset(s, 0, sizeof(*s));
	s->len = bytes;
	memcpy(s->frame.to, mac, sizeof(mac));
	memcpy(s->frame.from, mac, sizeof(mac));
	s->frame.type = SX_BENCH_ETHERTYPE;
}

void sx_net_bench_set(struct sx_virtio_device *dev, enum sx_net_bench_mode mode, uint32_t bytes)
{
	struct port *p = &((struct net_bench *)dev)->port;
	eventfd_t ignored;

	/* Neither fails: it is not full, and where it is empty nothing is to be done. */
	if (mode == SX_NET_SOURCE)
		eventfd_write(p->ready, 1);
	else
		eventfd_read(p->ready, &ignored);
	p->mode = mode;
	p->out = p->in = 0;
	if (mode != SX_NET_SOURCE)
		return;
	for (p->in = 0; p->in < SLOTS; p->in++)
		make_frame(&p->slot[p->in], bytes);
}

/* ---- life ---- */

static int create(struct sx_virtio_device **dev, const char *value, const struct sx_virtio_env *env,
		  struct sx_error *err)
{
	struct net_bench *n = calloc(1, sizeof(*n));
	struct sx_virtio_net_config config = {.mac = SX_BENCH_MAC};
	int rc;

	(void)value;
	if (!n)
		return -ENOMEM;
	n->port.b = (struct sx_net_backend){.ops = &ops, .queues = 1};
	n->port.ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (n->port.ready < 0) {
		rc = sx_fail(err, -errno, "cannot create an eventfd: %s", strerror(errno));
		goto fail;
	}
	config.backend = &n->port.b;
	rc = sx_virtio_net_init(&n->net, &config, env, err);
	if (rc == 0) {
		*dev = &n->net.dev;
		return 0;
	}
	close(n->port.ready);
fail:
	free(n);
	return rc;
}

static void destroy(struct sx_virtio_device *dev)
{
	struct net_bench *n = (struct net_bench *)dev;

	sx_virtio_net_destroy(&n->net);
	port_destroy(&n->port.b);
	free(n);
}

const struct sx_plug sx_net_bench_plug = {
	.option = "net",
	.help = "",
	.create = create,
	.destroy = destroy,
};
