// SPDX-License-Identifier: BSD-3-Clause
#include "cli/stats.h"

#include <inttypes.h>
#include <jansson.h>
#include <errno.h>

/* A sidecore's pollers count turns lazily. */
static void bring_up_to_date(const struct sx_stats_view *v)
{
	for (unsigned i = 0; i < v->sidecore_count; i++)
		sx_sidecore_sync(v->sidecores[i]);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* ---- text ---- */

static void print_vcpus(FILE *to, const struct sx_stats_view *v)
{
	for (unsigned i = 0; i < v->vcpus; i++) {
		struct sx_vcpu *c = &v->vcpu[i];

		if (c->stats.fd < 0 || sx_stats_read(&c->stats) < 0) {
			fprintf(to, "vCPU %u: this host's KVM counts no exits\n", i);
			continue;
		}
		fprintf(to, "vCPU %u, by KVM's own counters (those that are not 0):\n", i);
		for (uint32_t k = 0; k < c->stats.count; k++)
			if (c->stats.stat[k].value)
				fprintf(to, "  %-32s %12" PRIu64 "\n", c->stats.stat[k].name,
					c->stats.stat[k].value);
		fprintf(to, "  %-32s %12" PRIu64 "\n", "given to devices (ours)",
			c->exits_forwarded);
	}
}

static void print_devices(FILE *to, const struct sx_stats_view *v)
{
	const struct sx_bus_table *t = v->bus->table;

	fprintf(to, "%-24s %12s %12s\n", "device, by exits", "reads", "writes");
	for (unsigned i = 0; i < t->count; i++)
		fprintf(to, "  %-22s %12" PRIu64 " %12" PRIu64 "\n", t->range[i]->name,
			t->range[i]->reads, t->range[i]->writes);
	for (unsigned i = 0; i < v->ring_count; i++)
		fprintf(to, "  vCPU %-4u %-12s %12" PRIu64 " messages%s\n", i / SX_RING_KINDS,
			v->ring[i].server.poller.name, v->ring[i].server.messages,
			v->ring[i].server.refused ? ", refused" : "");
}

static void print_poller(FILE *to, const struct sx_sidecore *sc, const struct sx_poller *p)
{
	if (p->sidecore == sc)
		fprintf(to, "    %-20s %12" PRIu64 " polls, %" PRIu64 " hits, %" PRIu64 " items\n",
			p->name, p->polls, p->hits, p->work);
}

static void print_sidecores(FILE *to, const struct sx_stats_view *v)
{
	for (unsigned i = 0; i < v->sidecore_count; i++) {
		const struct sx_sidecore *sc = v->sidecores[i];
		struct sx_sidecore_stats s;

		sx_sidecore_stats(sc, &s);
		fprintf(to,
			"sidecore %u on CPU %d: %" PRIu64 " turns, %.2f %% busy, %" PRIu64
			" sleeps, %u pollers\n",
			i, s.cpu, s.turns, percent(s.busy_tsc, s.total_tsc), s.sleeps, s.pollers);
		for (unsigned k = 0; k < v->sidecore_count; k++)
			print_poller(to, sc, &v->server[k].poller);
		for (unsigned k = 0; k < v->pollers; k++)
			print_poller(to, sc, v->poller[k]);
	}
}

void sx_stats_print(FILE *to, const struct sx_stats_view *v, uint64_t guest_ns)
{
	bring_up_to_date(v);
	fprintf(to, "guest ran %.3f ms in %s mode\n", (double)guest_ns / 1e6,
		v->mode == SX_SPLIT ? "split" : "trap");
	print_vcpus(to, v);
	print_devices(to, v);
	print_sidecores(to, v);
}

/* ---- JSON ---- */

static json_t *json_vcpu(struct sx_vcpu *v)
{
	json_t *kvm = json_object();

	if (v->stats.fd >= 0 && sx_stats_read(&v->stats) == 0)
		for (uint32_t k = 0; k < v->stats.count; k++)
			json_object_set_new(kvm, v->stats.stat[k].name,
					    json_integer((json_int_t)v->stats.stat[k].value));
	return json_pack("{s:i, s:o, s:I, s:I}", "index", (int)v->index, "kvm", kvm,
			 "exits_forwarded", (json_int_t)v->exits_forwarded, "first_exit_ns",
			 (json_int_t)v->first_exit_ns);
}

static json_t *json_devices(const struct sx_stats_view *v)
{
	json_t *list = json_array();
	const struct sx_bus_table *t = v->bus->table;

	for (unsigned i = 0; i < t->count; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "name", t->range[i]->name,
						      "reads", (json_int_t)t->range[i]->reads,
						      "writes", (json_int_t)t->range[i]->writes));
	return list;
}

static json_t *json_rings(const struct sx_stats_view *v)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < v->ring_count; i++) {
		const struct sx_machine_ring *r = &v->ring[i];

		json_array_append_new(
			list, json_pack("{s:i, s:s, s:I, s:I, s:b}", "vcpu",
					(int)(i / SX_RING_KINDS), "ring", r->server.poller.name,
					"messages", (json_int_t)r->server.messages,
					"out_of_sequence", (json_int_t)r->dev.out_of_sequence,
					"refused", (int)r->server.refused));
	}
	return list;
}

static json_t *json_sidecores(const struct sx_stats_view *v)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < v->sidecore_count; i++) {
		struct sx_sidecore_stats s;

		sx_sidecore_stats(v->sidecores[i], &s);
		json_array_append_new(list,
				      json_pack("{s:i, s:I, s:f, s:I, s:i, s:I}", "cpu", s.cpu,
						"turns", (json_int_t)s.turns, "busy_percent",
						percent(s.busy_tsc, s.total_tsc), "sleeps",
						(json_int_t)s.sleeps, "pollers", (int)s.pollers,
						"exits_served", (json_int_t)v->server[i].served));
	}
	return list;
}

int sx_stats_print_json(FILE *to, const struct sx_stats_view *v, uint64_t guest_ns)
{
	json_t *vcpus = json_array();
	json_t *root;
	int rc;

	bring_up_to_date(v);
	for (unsigned i = 0; i < v->vcpus; i++)
		json_array_append_new(vcpus, json_vcpu(&v->vcpu[i]));
	root = json_pack("{s:i, s:s, s:I, s:o, s:o, s:o, s:o}", "version", 1, "mode",
			 v->mode == SX_SPLIT ? "split" : "trap", "guest_ns", (json_int_t)guest_ns,
			 "vcpus", vcpus, "devices", json_devices(v), "rings", json_rings(v),
			 "sidecores", json_sidecores(v));
	if (!root)
		return -ENOMEM;
	rc = json_dumpf(root, to, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
	json_decref(root);
	fputc('\n', to);
	return rc < 0 ? -EIO : 0;
}
