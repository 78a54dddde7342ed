// SPDX-License-Identifier: BSD-3-Clause
/*
 * A report as JSON. Its keys are a contract with whoever reads it: see SX_REPORT_VERSION.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "bench/outfile.h"
#include "bench/report.h"

/* Enough digits to print a number as it was rounded, few enough to hide how binary keeps it. */
#define REAL_DIGITS 15

/*
 * An object being built. Jansson's functions pass a NULL on (no memory, text that is not UTF-8) and
 * free what they were given, so one look at the end is enough.
 */
struct object {
	json_t *json;
	bool failed;
};

static struct object new_object(void)
{
	return (struct object){.json = json_object()};
}

static void put(struct object *o, const char *key, json_t *value)
{
	if (json_object_set_new(o->json, key, value))
		o->failed = true;
}

static json_t *finish(struct object *o)
{
	if (!o->failed)
		return o->json;
	json_decref(o->json);
	return NULL;
}

static json_t *array_of(const void *items, size_t count, size_t size,
			json_t *(*build)(const void *item))
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(array, build((const char *)items + i * size))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* --- values -------------------------------------------------------------------------------------
 */

static void put_text(struct object *o, const char *key, const char *text)
{
	put(o, key, text[0] ? json_string(text) : json_null());
}

static void put_count(struct object *o, const char *key, uint64_t count)
{
	put(o, key, json_integer((json_int_t)count));
}

/* @value is not negative. One beyond all digits that a double has is whole already. */
static json_t *rounded(double value, double steps)
{
	if (value == SX_NOT_MEASURED)
		return json_null();
	if (value * steps < 9e15)
		value = (double)(uint64_t)(value * steps + 0.5) / steps;
	return json_real(value);
}

static void put_ns(struct object *o, const char *key, double value)
{
	put(o, key, rounded(value, 1e3));
}

/* Finer: one exit in a million operations is not none. */
static void put_number(struct object *o, const char *key, double value)
{
	put(o, key, rounded(value, 1e6));
}

/* --- parts of a report --------------------------------------------------------------------------
 */

static json_t *host_json(const struct sx_host *h)
{
	struct object o = new_object();

	put_text(&o, "cpu", h->cpu);
	put_count(&o, "cpus", h->cpus);
	put(&o, "smt", h->smt < 0 ? json_null() : json_boolean(h->smt));
	put(&o, "isolated_cpus", json_string(h->isolated));
	put_text(&o, "microcode", h->microcode);
	put_text(&o, "governor", h->governor);
	put(&o, "tsc_khz", h->tsc_khz ? json_integer((json_int_t)h->tsc_khz) : json_null());
	put_count(&o, "memory_mib", h->memory_mib);
	put_text(&o, "kernel", h->kernel);
	put_text(&o, "kvm", h->kvm);
	put_text(&o, "hypervisor", h->hypervisor);
	put_text(&o, "date", h->date);
	put_text(&o, "splitx", h->version);
	return finish(&o);
}

static json_t *row_json(const void *item)
{
	const struct sx_report_row *row = item;
	struct object o = new_object();

	put_text(&o, "op", row->op);
	put_text(&o, "mode", row->mode);
	if (row->batch)
		put_count(&o, "batch", row->batch);
	if (row->where[0])
		put_text(&o, "where", row->where);
	put_ns(&o, "p50_ns", row->time.p50_ns);
	put_ns(&o, "p99_ns", row->time.p99_ns);
	put_ns(&o, "p999_ns", row->time.p999_ns);
	put_ns(&o, "mean_ns", row->time.mean_ns);
	put_count(&o, "samples", row->time.samples);
	put_number(&o, "exits_per_op", row->exits_per_op);
	if (row->causes.told) {
		put_number(&o, "device_exits_per_op", row->causes.device);
		put_number(&o, "interrupt_exits_per_op", row->causes.interrupt);
		put_number(&o, "halt_exits_per_op", row->causes.halt);
	}
	if (row->per_second > 0)
		put_number(&o, "per_second", row->per_second);
	if (row->sidecore_ns > 0)
		put_ns(&o, "sidecore_ns", row->sidecore_ns);
	return finish(&o);
}

static json_t *peer_json(const void *item)
{
	const struct sx_report_peer *peer = item;
	struct object o = new_object();

	put_text(&o, "name", peer->name);
	put_text(&o, "op", peer->op);
	put_count(&o, "burst", peer->burst);
	put_ns(&o, "p50_ns", peer->p50_ns);
	put_count(&o, "samples", peer->samples);
	if (peer->how[0])
		put_text(&o, "how", peer->how);
	return finish(&o);
}

static json_t *target_json(const void *item)
{
	const struct sx_report_target *t = item;
	struct object o = new_object();

	put_text(&o, "name", t->name);
	put(&o, "bound", json_string(t->bound == SX_AT_MOST ? "at_most" : "at_least"));
	put_number(&o, "target", t->target);
	put_number(&o, "measured", t->measured);
	put_text(&o, "unit", t->unit);
	put(&o, "ok", json_boolean(t->ok));
	return finish(&o);
}

static json_t *note_json(const void *item)
{
	return json_string(item);
}

static json_t *figures_json(const struct sx_report_figure *figures, size_t count)
{
	struct object o = new_object();

	for (size_t i = 0; i < count; i++)
		put_ns(&o, figures[i].name, figures[i].value);
	return finish(&o);
}

static json_t *report_json(const struct sx_report *r)
{
	struct object o = new_object();

	put_text(&o, "suite", r->suite);
	put_count(&o, "version", SX_REPORT_VERSION);
	put(&o, "host", host_json(&r->host));
	put(&o, "rows", array_of(r->row, r->row_count, sizeof(r->row[0]), row_json));
	put(&o, "floors", figures_json(r->floor, r->floor_count));
	put(&o, "peers", array_of(r->peer, r->peer_count, sizeof(r->peer[0]), peer_json));
	put(&o, "costs", figures_json(r->cost, r->cost_count));
	put(&o, "targets", array_of(r->target, r->target_count, sizeof(r->target[0]), target_json));
	put(&o, "notes", array_of(r->note, r->note_count, sizeof(r->note[0]), note_json));
	return finish(&o);
}

/* Reports how writing went by errno, which jansson leaves as write() set it. */
static int dump(const json_t *json, int fd)
{
	const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS);

	errno = 0;
	if (json_dumpfd(json, fd, flags) || dprintf(fd, "\n") < 0)
		return errno ? -errno : -ENOMEM;
	return 0;
}

int sx_report_write_json(const struct sx_report *r, const char *path, struct sx_error *err)
{
	json_t *json = report_json(r);
	struct sx_outfile out;
	int ret;

	if (!json)
		return sx_fail(err, -EINVAL,
			       "the report cannot become JSON: memory is short or a text in it is "
			       "not UTF-8");
	ret = sx_outfile_open(&out, path, err);
	if (ret)
		goto free_json;

	ret = dump(json, out.fd);
	if (ret) {
		sx_fail(err, ret, "cannot write '%s': %s; make room or name another file", path,
			strerror(-ret));
		sx_outfile_abort(&out);
	} else {
		ret = sx_outfile_commit(&out, err);
	}
free_json:
	json_decref(json);
	return ret;
}
