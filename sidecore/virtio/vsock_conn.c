// SPDX-License-Identifier: BSD-3-Clause
/*
 * The table of connections: found by ports, listed when they have something for the guest, and
 * ended.
 */
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "sidecore/virtio/vsock_internal.h"

static uint16_t index_of(const struct sx_virtio_vsock *v, const struct sx_vsock_connection *c)
{
	return (uint16_t)(c - v->connection);
}

/* ---- half-open ones ---- */

/* While there are any the timer ticks. */
static void set_timer(struct sx_virtio_vsock *v)
{
	bool want = v->lines || v->requests || v->short_of;
	struct itimerspec every = {0};

	if (want == v->ticking)
		return;
	if (want) {
		every.it_interval.tv_sec = (time_t)(v->tick_ns / 1000000000u);
		every.it_interval.tv_nsec = (long)(v->tick_ns % 1000000000u);
		every.it_value = every.it_interval;
	}
	/* It can only fail for arguments that are wrong. */
	(void)timerfd_settime(v->timer_fd, 0, &every, NULL);
	v->ticking = want;
}

void sx_vsock_set_state(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint8_t state)
{
	v->lines += (state == SX_VSOCK_LINE) - (unsigned)(c->state == SX_VSOCK_LINE);
	v->requests += (state == SX_VSOCK_REQUESTED) - (unsigned)(c->state == SX_VSOCK_REQUESTED);
	c->state = state;
	c->ticks = 0;
	set_timer(v);
}

void sx_vsock_run_short(struct sx_virtio_vsock *v, bool is)
{
	v->short_of = is;
	set_timer(v);
}

static void expire(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	bool asked = c->state == SX_VSOCK_REQUESTED && !(c->pending & SX_VSOCK_REQUEST);

	sx_count(&v->stats.expired, 1);
	if (asked)
		sx_vsock_end(v, c, false);
	else
		sx_vsock_drop(v, c);
}

void sx_vsock_tick(struct sx_virtio_vsock *v)
{
	for (unsigned i = 0; i < v->fresh; i++) {
		struct sx_vsock_connection *c = &v->connection[i];

		if (c->state != SX_VSOCK_LINE && c->state != SX_VSOCK_REQUESTED)
			continue;
		/* The first tick may come at once. */
		if (++c->ticks > SX_VSOCK_TICKS)
			expire(v, c);
	}
	if (v->short_of) {
		v->acceptable = true;
		sx_vsock_run_short(v, false);
	}
}

/* ---- by ports ---- */

static uint16_t *bucket_of(struct sx_virtio_vsock *v, uint32_t host_port, uint32_t guest_port)
{
	/* Two odd constants that spread; a guest that makes them collide waits for itself. */
	return &v->bucket[(host_port * 0x9e3779b1u ^ guest_port * 0x85ebca6bu) % SX_VSOCK_BUCKETS];
}

struct sx_vsock_connection *sx_vsock_find(struct sx_virtio_vsock *v, uint32_t host_port,
					  uint32_t guest_port)
{
	for (uint16_t i = *bucket_of(v, host_port, guest_port); i != SX_VSOCK_NONE;) {
		struct sx_vsock_connection *c = &v->connection[i];

		if (c->host_port == host_port && c->guest_port == guest_port)
			return c;
		i = c->chain;
	}
	return NULL;
}

void sx_vsock_hash(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint32_t host_port,
		   uint32_t guest_port)
{
	uint16_t *bucket = bucket_of(v, host_port, guest_port);

	c->host_port = host_port;
	c->guest_port = guest_port;
	c->chain = *bucket;
	*bucket = index_of(v, c);
	c->hashed = true;
}

void sx_vsock_unhash(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	uint16_t *at = bucket_of(v, c->host_port, c->guest_port);

	if (!c->hashed)
		return;
	while (*at != index_of(v, c))
		at = &v->connection[*at].chain;
	*at = c->chain;
	c->hashed = false;
}

uint32_t sx_vsock_pick_port(struct sx_virtio_vsock *v, uint32_t guest_port)
{
	uint32_t port;

	/* There are many more ports than connections. */
	do {
		port = v->next_port;
		v->next_port = port == SX_VSOCK_LAST_PORT ? SX_VSOCK_FIRST_PORT : port + 1;
	} while (sx_vsock_find(v, port, guest_port));
	return port;
}

/* ---- those with something for the guest ---- */

static void unlist(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	if (!c->listed)
		return;
	*(c->previous == SX_VSOCK_NONE ? &v->first : &v->connection[c->previous].next) = c->next;
	*(c->next == SX_VSOCK_NONE ? &v->last : &v->connection[c->next].previous) = c->previous;
	c->listed = false;
}

static void append(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	c->previous = v->last;
	c->next = SX_VSOCK_NONE;
	*(v->last == SX_VSOCK_NONE ? &v->first : &v->connection[v->last].next) = index_of(v, c);
	v->last = index_of(v, c);
	c->listed = true;
}

uint32_t sx_vsock_credit(const struct sx_vsock_connection *c)
{
	uint32_t window = c->guest_room < SX_VSOCK_WINDOW ? c->guest_room : SX_VSOCK_WINDOW;
	uint32_t on_the_way = c->sent - c->guest_taken;

	return on_the_way < window ? window - on_the_way : 0;
}

bool sx_vsock_has_data(const struct sx_vsock_connection *c)
{
	return c->state == SX_VSOCK_OPEN && c->readable &&
	       !(c->host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) &&
	       !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV);
}

void sx_vsock_requeue(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	bool data = sx_vsock_has_data(c);

	unlist(v, c);
	if (data && !sx_vsock_credit(c) && !c->asked) {
		c->pending |= SX_VSOCK_ASK;
		c->asked = true;
	}
	if (c->pending || (data && sx_vsock_credit(c)))
		append(v, c);
}

void sx_vsock_want(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, uint8_t pending)
{
	/* One that ends has nothing else to say. */
	if (c->state != SX_VSOCK_ENDING || pending == SX_VSOCK_RST)
		c->pending |= pending;
	if (!c->listed)
		sx_vsock_requeue(v, c);
}

/* ---- begin and end ---- */

struct sx_vsock_connection *sx_vsock_new(struct sx_virtio_vsock *v, int fd, uint8_t state)
{
	struct sx_vsock_connection *c;
	uint32_t generation;

	if (v->free == SX_VSOCK_NONE && v->fresh == SX_VSOCK_CONNECTIONS) {
		close(fd);
		return NULL;
	}
	if (v->free == SX_VSOCK_NONE) {
		c = &v->connection[v->fresh++];
	} else {
		c = &v->connection[v->free];
		v->free = c->next;
	}
	generation = c->generation;
	*c = (struct sx_vsock_connection){
		.fd = fd, .readable = true, .writable = true, .generation = generation};
	v->open++;
	sx_vsock_set_state(v, c, state);
	return c;
}

/* Nothing goes to the host any more. */
static void leave_host(struct sx_vsock_connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	free(c->buffer);
	c->buffer = NULL;
	c->held = 0;
}

void sx_vsock_drop(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	unlist(v, c);
	sx_vsock_unhash(v, c);
	leave_host(c);
	sx_vsock_set_state(v, c, SX_VSOCK_FREE);
	c->generation++;
	c->next = v->free;
	v->free = index_of(v, c);
	v->open--;
}

void sx_vsock_end(struct sx_virtio_vsock *v, struct sx_vsock_connection *c, bool linger)
{
	if (!linger || !c->held)
		leave_host(c);
	sx_vsock_set_state(v, c, SX_VSOCK_ENDING);
	c->pending = 0;
	sx_vsock_want(v, c, SX_VSOCK_RST);
}

void sx_vsock_reset(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	sx_count(&v->stats.resets, 1);
	sx_vsock_end(v, c, false);
}

void sx_vsock_try_drop(struct sx_virtio_vsock *v, struct sx_vsock_connection *c)
{
	if (!c->pending && !c->held)
		sx_vsock_drop(v, c);
}

void sx_vsock_drop_all(struct sx_virtio_vsock *v)
{
	for (unsigned i = 0; i < v->fresh; i++) {
		struct sx_vsock_connection *c = &v->connection[i];

		if (c->state == SX_VSOCK_FREE)
			continue;
		if (!c->held) {
			sx_vsock_drop(v, c);
			continue;
		}
		sx_vsock_set_state(v, c, SX_VSOCK_ENDING);
		c->pending = 0;
		unlist(v, c);
		sx_vsock_unhash(v, c);
	}
	v->replies_out = v->replies_in;
}
