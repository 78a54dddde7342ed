// SPDX-License-Identifier: BSD-3-Clause
#include "cli/plug_net.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "cli/options.h"
#include "cli/words.h"
#include "sidecore/virtio/net.h"

struct plug {
	struct sx_virtio_net net;
	struct sx_net_backend *backend;
};

/* What the value says. */
struct request {
	char *spec; /* the network, for sx_net_open() */
	uint8_t mac[6];
	bool has_mac;
	uint64_t mtu; /* 0: the network's own */
	uint64_t queues;
};

/* ---- its value ---- */

/* Six bytes of two digits, with colons between them. */
static bool read_mac(const char *text, uint8_t mac[6])
{
	for (unsigned i = 0; i < 6; i++, text += 3) {
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
		    text[2] != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)strtoul(text, NULL, 16);
	}
	return true;
}

static int parse_mac(const char *text, uint8_t mac[6], struct sx_error *err)
{
	if (!read_mac(text, mac))
		return sx_fail(err, -EINVAL,
			       "mac= of --net wants an address such as 52:54:00:12:34:56, not '%s'",
			       text);
	return 0;
}

/*
 * An address for a device that was given none: the same each time this host opens this network,
 * so that the guest knows its interface again, and another one for every other network and host.
 * FNV-1a, made a local, single address (IEEE 802, 8.2).
 */
static void make_mac(const char *spec, uint8_t mac[6])
{
	uint64_t hash = 0xcbf29ce484222325;
	struct utsname host;
	const char *part[2] = {spec, ""};

	if (uname(&host) == 0)
		part[1] = host.nodename;
	for (unsigned i = 0; i < 2; i++)
		for (const char *c = part[i]; *c; c++)
			hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)(hash >> (8 * i));
	mac[0] = 0x02;
}

/* A word that is not for the device is for the network. */
static void add_to_spec(char *spec, const char *word, const char *value)
{
	size_t len = strlen(spec);

	len += (size_t)sprintf(&spec[len], "%s%s", *spec ? "," : "", word);
	if (*value)
		sprintf(&spec[len], "=%s", value);
}

static int parse_word(struct request *r, const char *word, const char *value, struct sx_error *err)
{
	if (strcmp(word, "mac") == 0) {
		r->has_mac = true;
		return parse_mac(value, r->mac, err);
	}
	if (strcmp(word, "mtu") == 0)
		return sx_parse_number("mtu= of --net", value, SX_NET_MIN_MTU, SX_NET_MAX_MTU,
				       &r->mtu, err);
	if (strcmp(word, "queues") == 0)
		return sx_parse_number("queues= of --net", value, 1, SX_VIRTIO_NET_MAX_PAIRS,
				       &r->queues, err);
	add_to_spec(r->spec, word, value);
	return 0;
}

/* Where "port=" begins, of which all that follows is a part, or the end. */
static size_t find_port(const char *text)
{
	const char *at = text;

	while (*at && strncmp(at, "port=", 5) != 0) {
		at += strcspn(at, ",");
		at += *at == ',';
	}
	return (size_t)(at - text);
}

/* r->spec has room for all of @text. */
static int parse(struct request *r, const char *text, struct sx_error *err)
{
	size_t len = find_port(text);
	struct sx_words w = {.text = strndup(text, text[len] && len ? len - 1 : len)};
	char *word, *value;
	int rc = w.text ? 0 : -ENOMEM;

	w.next = len ? w.text : NULL;
	while (rc == 0 && (word = sx_words_next(&w, &value)))
		rc = parse_word(r, word, value, err);
	free(w.text);
	if (rc == 0 && text[len])
		add_to_spec(r->spec, &text[len], "");
	return rc;
}

/* ---- the device ---- */

/* The network, with a queue for each pair that is asked for. */
static int open_network(struct plug *p, const struct request *r, struct sx_error *err)
{
	int rc = sx_net_open(&p->backend, r->spec, (unsigned)r->queues, (unsigned)r->mtu, err);

	if (rc == 0 && p->backend->queues < r->queues)
		rc = sx_fail(err, -EINVAL,
			     "the network '%s' has no more queue pairs than %u; lower queues= of "
			     "--net",
			     r->spec, p->backend->queues);
	return rc;
}

static int create(struct plug *p, struct request *r, const struct sx_virtio_env *env,
		  struct sx_error *err)
{
	struct sx_virtio_net_config c = {0};
	int rc = open_network(p, r, err);

	if (rc < 0)
		return rc;
	c.backend = p->backend;
	if (r->has_mac)
		memcpy(c.mac, r->mac, sizeof(c.mac));
	else
		make_mac(r->spec, c.mac);
	return sx_virtio_net_init(&p->net, &c, env, err);
}

int sx_plug_net_create(struct sx_virtio_device **dev, const char *value,
		       const struct sx_virtio_env *env, struct sx_error *err)
{
	struct request r = {.queues = 1, .spec = calloc(1, strlen(value) + 1)};
	struct plug *p = calloc(1, sizeof(*p));
	int rc = -ENOMEM;

	if (p && r.spec)
		rc = parse(&r, value, err);
	if (rc == 0)
		rc = create(p, &r, env, err);
	free(r.spec);
	if (rc == 0) {
		*dev = &p->net.dev;
		return 0;
	}
	if (p)
		sx_net_close(p->backend);
	free(p);
	return rc;
}

void sx_plug_net_destroy(struct sx_virtio_device *dev)
{
	struct plug *p = (struct plug *)(void *)dev; /* both begin with it */
	struct sx_net_backend *backend = p->backend;

	sx_virtio_net_destroy(&p->net);
	sx_net_close(backend);
	free(p);
}
