// SPDX-License-Identifier: BSD-3-Clause
#include "cli/stats.h"

#include <inttypes.h>
#include <unistd.h>

#include "ipc/wire/types.h"
#include "sidecore/virtio/device.h"

/* Counters wrap at 2^64, and JSON's integers are signed: the same bits. */
static json_t *number(const uint64_t *counter)
{
	return json_integer((json_int_t)sx_load_relaxed(counter)); /* stands alone: no pair */
}

/* JSON is UTF-8; a path is any bytes. */
static json_t *path_string(const char *path)
{
	char text[256];
	size_t n = 0;

	for (; path && path[n] && n < sizeof(text) - 1; n++)
		text[n] = path[n] >= ' ' && path[n] <= '~' ? path[n] : '?';
	return json_stringn(text, n);
}

/* ---- vCPUs ---- */

static json_t *kvm_counters(struct sx_stats *s)
{
	json_t *kvm = json_object();

	if (s->fd < 0 || sx_stats_read(s) < 0)
		return kvm;
	for (uint32_t i = 0; i < s->count; i++)
		json_object_set_new(kvm, s->stat[i].name, number(&s->stat[i].value));
	return kvm;
}

static json_t *vcpus(const struct sx_stats_view *v)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < v->vcpus; i++) {
		struct sx_vcpu *c = &v->vcpu[i];

		json_array_append_new(list,
				      json_pack("{s:i, s:o, s:o, s:o}", "index", (int)c->index,
						"kvm", kvm_counters(&c->stats), "exits_forwarded",
						number(&c->exits_forwarded), "first_exit_ns",
						number(&c->first_exit_ns)));
	}
	return list;
}

/* ---- what the guest reaches by exits, and by rings ---- */

static void add_range(void *list, const struct sx_bus_range *r)
{
	char base[24];

	snprintf(base, sizeof(base), "0x%" PRIx64, r->base);
	json_array_append_new(list,
			      json_pack("{s:s, s:s, s:s, s:o, s:o}", "name", r->name, "space",
					r->space == SX_BUS_PIO ? "port" : "memory", "base", base,
					"reads", number(&r->reads), "writes", number(&r->writes)));
}

static json_t *ranges(const struct sx_stats_view *v)
{
	json_t *list = json_array();

	sx_bus_each(v->bus, add_range, list);
	return list;
}

static json_t *rings(const struct sx_stats_view *v)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < v->ring_count; i++) {
		const struct sx_machine_ring *r = &v->ring[i];

		json_array_append_new(
			list, json_pack("{s:i, s:s, s:o, s:o, s:b}", "vcpu",
					(int)(i / SX_RING_KINDS), "ring", r->server.poller.name,
					"messages", number(&r->server.messages), "out_of_sequence",
					number(&r->dev.out_of_sequence), "refused",
					(int)sx_load_relaxed(&r->server.refused)));
	}
	return list;
}

/* ---- virtio devices ---- */

static json_t *queue(const struct sx_virtqueue *vq)
{
	const struct sx_vq_stats *s = &vq->stats;

	return json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "index", (int)vq->index,
			 "group", (int)vq->group, "requests", number(&s->requests), "batches",
			 number(&s->batches), "kicks", number(&s->kicks), "absorbed",
			 number(&s->absorbed), "interrupts", number(&s->interrupts), "suppressed",
			 number(&s->suppressed));
}

/* What the model itself counts. */
static json_t *counts(const struct sx_virtio_device *dev)
{
	uint64_t count[SX_VIRTIO_MAX_COUNTS];
	json_t *object = json_object();

	if (!dev->ops->counts)
		return object;
	dev->ops->counts(dev, count);
	for (unsigned i = 0; dev->ops->count_names[i]; i++)
		json_object_set_new(object, dev->ops->count_names[i], number(&count[i]));
	return object;
}

static json_t *device(const struct sx_pc_device *d)
{
	const struct sx_virtio_device *dev = d->dev;
	json_t *queues = json_array();
	char slot[8];

	snprintf(slot, sizeof(slot), "%02x.%x",
		 d->pci.function.devfn / SX_PCI_FUNCTIONS % SX_PCI_SLOTS,
		 d->pci.function.devfn % SX_PCI_FUNCTIONS);
	for (unsigned i = 0; i < dev->queues; i++)
		json_array_append_new(queues, queue(&dev->queue[i]));
	return json_pack("{s:s, s:s, s:o, s:s?, s:o, s:o}", "name", dev->ops->name, "slot", slot,
			 "faults", number(&dev->faults), "fault", sx_load_relaxed(&dev->fault),
			 "counts", counts(dev), "queues", queues);
}

static json_t *devices(const struct sx_stats_view *v)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < v->devices; i++)
		json_array_append_new(list, device(&v->device[i]));
	return list;
}

/* ---- sidecores ---- */

static void add_poller(json_t *list, const struct sx_sidecore *sc, const struct sx_poller *p)
{
	struct sx_poller_stats s;

	if (sx_load_relaxed(&p->sidecore) != sc)
		return;
	sx_poller_stats(p, &s);
	json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o}", "name", p->name, "polls",
					      number(&s.polls), "hits", number(&s.hits), "items",
					      number(&s.work)));
}

static json_t *sidecore(const struct sx_stats_view *v, unsigned index)
{
	const struct sx_sidecore *sc = v->sidecores[index];
	json_t *list = json_array();
	struct sx_sidecore_stats s;

	for (unsigned i = 0; i < v->sidecore_count; i++)
		add_poller(list, sc, &v->server[i].poller);
	for (unsigned i = 0; i < v->pollers; i++)
		add_poller(list, sc, v->poller[i]);
	sx_sidecore_stats(sc, &s);
	return json_pack("{s:i, s:i, s:o, s:f, s:o, s:o, s:o, s:i, s:o, s:o}", "index", (int)index,
			 "cpu", s.cpu, "turns", number(&s.turns), "busy_percent",
			 s.total_tsc ? 100.0 * (double)s.busy_tsc / (double)s.total_tsc : 0.0,
			 "busy_tsc", number(&s.busy_tsc), "total_tsc", number(&s.total_tsc),
			 "sleeps", number(&s.sleeps), "pollers", (int)s.pollers, "exits_served",
			 number(&v->server[index].served), "polled", list);
}

static json_t *sidecores(const struct sx_stats_view *v)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < v->sidecore_count; i++)
		json_array_append_new(list, sidecore(v, i));
	return list;
}

json_t *sx_stats_take(const struct sx_stats_view *v)
{
	uint64_t now = v->end_ns ? v->end_ns : sx_now_ns();

	return json_pack("{s:i, s:i, s:o, s:i, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
			 1, "pid", (int)getpid(), "guest", path_string(v->guest), "start",
			 (int)v->start, "mode", v->mode == SX_SPLIT ? "split" : "trap", "guest_ns",
			 (json_int_t)(now - v->begin_ns), "vcpus", vcpus(v), "devices", ranges(v),
			 "nowhere", number(&v->bus->nowhere), "rings", rings(v), "virtio",
			 devices(v), "sidecores", sidecores(v));
}
