// SPDX-License-Identifier: BSD-3-Clause
#include "cli/stats.h"

#include <inttypes.h>
#include <jansson.h>
#include <errno.h>

static struct sx_bus_range *const *ranges(struct sx_machine *m, unsigned *count)
{
	*count = m->bus.table->count;
	return m->bus.table->range;
}

/* A sidecore's pollers count turns lazily. */
static void bring_up_to_date(struct sx_machine *m)
{
	for (unsigned i = 0; m->mode == SX_SPLIT && i < m->config.sidecore_count; i++)
		sx_sidecore_sync(m->config.sidecores[i]);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* ---- text ---- */

static void print_vcpus(FILE *to, struct sx_machine *m)
{
	for (unsigned i = 0; i < m->config.vcpus; i++) {
		struct sx_vcpu *v = &m->vcpu[i];

		if (v->stats.fd < 0 || sx_stats_read(&v->stats) < 0) {
			fprintf(to, "vCPU %u: this host's KVM counts no exits\n", i);
			continue;
		}
		fprintf(to, "vCPU %u, by KVM's own counters (those that are not 0):\n", i);
		for (uint32_t k = 0; k < v->stats.count; k++)
			if (v->stats.stat[k].value)
				fprintf(to, "  %-32s %12" PRIu64 "\n", v->stats.stat[k].name,
					v->stats.stat[k].value);
		fprintf(to, "  %-32s %12" PRIu64 "\n", "given to devices (ours)",
			v->exits_forwarded);
	}
}

static void print_devices(FILE *to, struct sx_machine *m)
{
	unsigned count;
	struct sx_bus_range *const *range = ranges(m, &count);

	fprintf(to, "%-24s %12s %12s\n", "device, by exits", "reads", "writes");
	for (unsigned i = 0; i < count; i++)
		fprintf(to, "  %-22s %12" PRIu64 " %12" PRIu64 "\n", range[i]->name,
			range[i]->reads, range[i]->writes);
	for (unsigned i = 0; i < m->ring_count; i++)
		fprintf(to, "  vCPU %-4u %-12s %12" PRIu64 " messages%s\n", i / SX_RING_KINDS,
			m->ring[i].server.poller.name, m->ring[i].server.messages,
			m->ring[i].server.refused ? ", refused" : "");
}

static void print_poller(FILE *to, const struct sx_poller *p)
{
	if (p->sidecore)
		fprintf(to, "    %-20s %12" PRIu64 " polls, %" PRIu64 " hits, %" PRIu64 " items\n",
			p->name, p->polls, p->hits, p->work);
}

static void print_sidecores(FILE *to, struct sx_machine *m)
{
	for (unsigned i = 0; m->mode == SX_SPLIT && i < m->config.sidecore_count; i++) {
		struct sx_sidecore_stats s;

		sx_sidecore_stats(m->config.sidecores[i], &s);
		fprintf(to,
			"sidecore %u on CPU %d: %" PRIu64 " turns, %.2f %% busy, %" PRIu64
			" sleeps, %u pollers\n",
			i, s.cpu, s.turns, percent(s.busy_tsc, s.total_tsc), s.sleeps, s.pollers);
		print_poller(to, &m->server[i].poller);
	}
	if (m->mode != SX_SPLIT)
		return;
	print_poller(to, &m->twin.poller);
	for (unsigned i = 0; i < m->ring_count; i++)
		print_poller(to, &m->ring[i].server.poller);
}

void sx_stats_print(FILE *to, struct sx_machine *m, uint64_t guest_ns)
{
	bring_up_to_date(m);
	fprintf(to, "guest ran %.3f ms in %s mode\n", (double)guest_ns / 1e6,
		m->mode == SX_SPLIT ? "split" : "trap");
	print_vcpus(to, m);
	print_devices(to, m);
	print_sidecores(to, m);
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

static json_t *json_devices(struct sx_machine *m)
{
	json_t *list = json_array();
	unsigned count;
	struct sx_bus_range *const *range = ranges(m, &count);

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "name", range[i]->name,
						      "reads", (json_int_t)range[i]->reads,
						      "writes", (json_int_t)range[i]->writes));
	return list;
}

static json_t *json_rings(struct sx_machine *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->config.vcpus; i++) {
		const struct sx_machine_ring *r = &m->ring[i];

		json_array_append_new(list,
				      json_pack("{s:i, s:I, s:I, s:b}", "vcpu", (int)i, "messages",
						(json_int_t)r->server.messages, "out_of_sequence",
						(json_int_t)r->dev.out_of_sequence, "refused",
						(int)r->server.refused));
	}
	return list;
}

static json_t *json_sidecores(struct sx_machine *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; m->mode == SX_SPLIT && i < m->config.sidecore_count; i++) {
		struct sx_sidecore_stats s;

		sx_sidecore_stats(m->config.sidecores[i], &s);
		json_array_append_new(list,
				      json_pack("{s:i, s:I, s:f, s:I, s:i, s:I}", "cpu", s.cpu,
						"turns", (json_int_t)s.turns, "busy_percent",
						percent(s.busy_tsc, s.total_tsc), "sleeps",
						(json_int_t)s.sleeps, "pollers", (int)s.pollers,
						"exits_served", (json_int_t)m->server[i].served));
	}
	return list;
}

int sx_stats_print_json(FILE *to, struct sx_machine *m, uint64_t guest_ns)
{
	json_t *vcpus = json_array();
	json_t *root;
	int rc;

	bring_up_to_date(m);
	for (unsigned i = 0; i < m->config.vcpus; i++)
		json_array_append_new(vcpus, json_vcpu(&m->vcpu[i]));
	root = json_pack("{s:i, s:s, s:I, s:o, s:o, s:o, s:o}", "version", 1, "mode",
			 m->mode == SX_SPLIT ? "split" : "trap", "guest_ns", (json_int_t)guest_ns,
			 "vcpus", vcpus, "devices", json_devices(m), "rings", json_rings(m),
			 "sidecores", json_sidecores(m));
	if (!root)
		return -ENOMEM;
	rc = json_dumpf(root, to, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
	json_decref(root);
	fputc('\n', to);
	return rc < 0 ? -EIO : 0;
}
