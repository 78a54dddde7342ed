// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/virtio/balloon.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_SIZE 128
#define MAX_SEGS   128

/*
 * What a turn does at most, so that others on the sidecore get theirs. Giving a page back takes
 * microseconds, for KVM has to take it from running vCPUs; of what lies together only the freeing
 * counts.
 */
#define PFNS_PER_TURN   32u
#define PIECES_PER_TURN 32u
#define BYTES_PER_TURN  (2u << 20)

/* Bytes of a list of page numbers; drivers send some KiB. In trap mode it is one exit's work. */
#define MAX_LIST (1u << 20)

/* The first queues (5.5.2). */
enum {
	INFLATE = 0,
	DEFLATE = 1,
	STATS = 2,
};

#define CONFIG_SIZE   offsetof(struct virtio_balloon_config, free_page_hint_cmd_id)
#define CONFIG_TARGET offsetof(struct virtio_balloon_config, num_pages)
#define CONFIG_ACTUAL offsetof(struct virtio_balloon_config, actual)

static void give_back(struct sx_virtio_balloon *b, const void *at, size_t len)
{
	ssize_t n = sx_region_discard(b->ram, at, len);

	if (n < 0)
		sx_count(&b->counts.kept, 1);
	else
		sx_count(&b->counts.returned, (uint64_t)n);
}

/* ---- the balloon: single pages ---- */

/* Pages next to each other, which go back together. */
struct run {
	uint8_t *at;
	size_t len;
};

static void end_run(struct sx_virtio_balloon *b, struct run *run)
{
	if (run->len)
		give_back(b, run->at, run->len);
	run->len = 0;
}

/* Drivers allocate upwards or downwards. */
static void extend_run(struct sx_virtio_balloon *b, struct run *run, uint8_t *page)
{
	if (run->len && page + SX_BALLOON_PAGE == run->at) {
		run->at = page;
	} else if (!run->len || page != run->at + run->len) {
		end_run(b, run);
		run->at = page;
	}
	run->len += SX_BALLOON_PAGE;
}

static uint64_t bit_of(size_t page)
{
	return 1ull << page % 64;
}

/* The host's page around @page is in the balloon as a whole; it has at least 64 of ours. */
static bool is_whole(const struct sx_virtio_balloon *b, size_t page)
{
	size_t pages = b->ram->page_size / SX_BALLOON_PAGE;
	size_t first = page / pages * pages;

	for (size_t i = first; i < first + pages; i += 64)
		if (~b->inside[i / 64])
			return false;
	return true;
}

static void inflate(struct sx_virtio_balloon *b, size_t page, struct run *run)
{
	uint8_t *at = (uint8_t *)b->ram->base + page * SX_BALLOON_PAGE;

	if (b->inside[page / 64] & bit_of(page)) {
		sx_count(&b->counts.repeated, 1);
		return;
	}
	b->inside[page / 64] |= bit_of(page);
	sx_count(&b->counts.inflated, 1);
	sx_count(&b->counts.pages, 1);
	if (b->ram->page_size == SX_BALLOON_PAGE)
		extend_run(b, run, at);
	else if (is_whole(b, page))
		give_back(b,
			  (uint8_t *)b->ram->base +
				  page * SX_BALLOON_PAGE / b->ram->page_size * b->ram->page_size,
			  b->ram->page_size);
}

/* The page takes memory when the guest touches it; it need not tell us before (5.5.6.2). */
static void deflate(struct sx_virtio_balloon *b, size_t page)
{
	if (!(b->inside[page / 64] & bit_of(page))) {
		sx_count(&b->counts.repeated, 1);
		return;
	}
	b->inside[page / 64] &= ~bit_of(page);
	sx_count(&b->counts.deflated, 1);
	sx_count(&b->counts.pages, UINT64_MAX);
}

/* Which page of the memory that may be given back is the guest's @pfn? False: none. */
static bool find_page(const struct sx_virtio_balloon *b, uint32_t pfn, size_t *page)
{
	const uint8_t *at = sx_memmap_at(b->dev.env.dma.memory, (sx_gpa)pfn * SX_BALLOON_PAGE,
					 SX_BALLOON_PAGE, SX_WRITE);

	if (!at || !sx_region_holds(b->ram, at, SX_BALLOON_PAGE))
		return false;
	*page = (size_t)(at - (const uint8_t *)b->ram->base) / SX_BALLOON_PAGE;
	return true;
}

/* False when one of them is no page of memory. */
static bool take_pfns(struct sx_virtio_balloon *b, const uint32_t *pfn, size_t pfns, bool in)
{
	struct run run = {.len = 0};
	size_t page, i = 0;

	for (; i < pfns && find_page(b, le32toh(pfn[i]), &page); i++) {
		if (in)
			inflate(b, page, &run);
		else
			deflate(b, page);
	}
	end_run(b, &run);
	return i == pfns;
}

/* Of a chain of @len bytes @served more were: push it, or keep the rest for the next turn. */
static void go_on(struct sx_virtio_balloon *b, struct sx_virtqueue *vq,
		  const struct sx_vq_chain *chain, size_t served, size_t len)
{
	uint64_t *done = &b->done[vq->index];

	*done += served;
	if (served && *done < len) {
		sx_virtqueue_unpop(vq, chain, 1);
		return;
	}
	*done = 0;
	sx_virtqueue_push(vq, chain, 0);
}

static unsigned take_pages(struct sx_virtio_balloon *b, struct sx_virtqueue *vq, bool in)
{
	struct iovec pool[MAX_SEGS];
	uint32_t pfn[PFNS_PER_TURN];
	struct sx_vq_chain chain;
	size_t len;

	if (!sx_virtqueue_pop(vq, &chain, 1, pool, MAX_SEGS))
		return 0;
	if (chain.writable || !chain.readable_len || chain.readable_len > MAX_LIST ||
	    chain.readable_len % sizeof(pfn[0])) {
		sx_virtqueue_fail(vq, "a buffer is no list of page numbers");
		return 0;
	}
	/* The driver may have changed the chain since the last turn: nothing is left then. */
	len = sx_vq_read(&chain, b->done[vq->index], pfn, sizeof(pfn));
	if (!take_pfns(b, pfn, len / sizeof(pfn[0]), in)) {
		sx_virtqueue_fail(vq, "a page number is not one of guest memory");
		return 0;
	}
	go_on(b, vq, &chain, len, chain.readable_len);
	return 1;
}

/* ---- pages that are free: pieces that the driver lends us as buffers (5.5.6.7) ---- */

static unsigned take_report(struct sx_virtio_balloon *b, struct sx_virtqueue *vq)
{
	struct iovec pool[MAX_SEGS], piece[MAX_SEGS];
	struct sx_vq_chain chain;
	size_t len = 0;
	/* Pieces are cut between the host's pages where the driver's begin so. */
	size_t limit = b->ram->page_size > BYTES_PER_TURN ? b->ram->page_size : BYTES_PER_TURN;
	unsigned pieces;

	if (!sx_virtqueue_pop(vq, &chain, 1, pool, MAX_SEGS))
		return 0;
	if (chain.readable || !chain.writable) {
		sx_virtqueue_fail(vq, "a report of free pages is not writable");
		return 0;
	}
	pieces = sx_iov_slice(chain.seg, chain.writable, b->done[vq->index], limit, piece);
	for (unsigned i = 0; i < pieces && i < PIECES_PER_TURN; i++) {
		if (!sx_region_holds(b->ram, piece[i].iov_base, piece[i].iov_len)) {
			sx_virtqueue_fail(vq, "a page reported as free is not guest memory");
			return 0;
		}
		give_back(b, piece[i].iov_base, piece[i].iov_len);
		len += piece[i].iov_len;
	}
	sx_count(&b->counts.reported, len);
	/* Pushed after the pages have gone: from then on the driver may fill them. */
	go_on(b, vq, &chain, len, chain.writable_len);
	return 1;
}

/* ---- statistics: we hold the driver's buffer until we want news (5.5.6.3) ---- */

static void note_stats(struct sx_virtio_balloon *b, const struct sx_vq_chain *chain)
{
	struct virtio_balloon_stat s[2 * SX_BALLOON_STATS];
	size_t n = sx_vq_read(chain, 0, s, sizeof(s)) / sizeof(s[0]);

	for (size_t i = 0; i < n; i++) {
		unsigned tag = le16toh(s[i].tag);

		if (tag < SX_BALLOON_STATS)
			sx_store_relaxed(&b->counts.stat[tag], le64toh(s[i].val));
	}
}

static unsigned take_stats(struct sx_virtio_balloon *b, struct sx_virtqueue *vq)
{
	struct iovec pool[MAX_SEGS];
	struct sx_vq_chain chain;

	if (!sx_virtqueue_pop(vq, &chain, 1, pool, MAX_SEGS))
		return 0;
	if (chain.writable) {
		sx_virtqueue_fail(vq, "a buffer of statistics is writable");
		return 0;
	}
	note_stats(b, &chain);
	if (b->stats_held)
		sx_virtqueue_push(vq, &b->stats, 0);
	b->stats = chain;
	b->stats_held = true;
	sx_store_relaxed(&b->stats_wanted, 0u); /* these are the news */
	return 1;
}

static unsigned asked(struct sx_virtio_device *dev, unsigned group)
{
	struct sx_virtio_balloon *b = (struct sx_virtio_balloon *)dev;

	(void)group;
	/* Acquire pairs with the release of the group's attention, which came after it. */
	if (!b->stats_held || !__atomic_exchange_n(&b->stats_wanted, 0, __ATOMIC_ACQUIRE))
		return 0;
	b->stats_held = false;
	sx_virtqueue_push(&dev->queue[STATS], &b->stats, 0);
	return 1;
}

void sx_virtio_balloon_refresh(struct sx_virtio_balloon *b)
{
	/* Relaxed: shown by the release of the group's attention. */
	sx_store_relaxed(&b->stats_wanted, 1u);
	sx_virtio_ask(&b->dev, 0);
}

/* ---- the device ---- */

static unsigned process(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_balloon *b = (struct sx_virtio_balloon *)dev;

	if (vq->index == INFLATE || vq->index == DEFLATE)
		return take_pages(b, vq, vq->index == INFLATE);
	if (vq->index == STATS && sx_virtio_has(dev, VIRTIO_BALLOON_F_STATS_VQ))
		return take_stats(b, vq);
	/*
	 * 5.5.2 numbers the queues whether or not they are there; some drivers, Linux's among them,
	 * leave no gap for those that are not. So each of the others is the one for reports.
	 */
	if (sx_virtio_has(dev, VIRTIO_BALLOON_F_REPORTING))
		return take_report(b, vq);
	sx_virtqueue_fail(vq, "a queue is used without its feature");
	return 0;
}

static void queue_start(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct sx_virtio_balloon *b = (struct sx_virtio_balloon *)dev;

	b->done[vq->index] = 0;
	if (vq->index == STATS)
		b->stats_held = false;
}

static size_t words_of(const struct sx_region *ram)
{
	return (ram->size / SX_BALLOON_PAGE + 63) / 64;
}

/* A driver that has begun anew has nothing in the balloon. */
static void forget(struct sx_virtio_balloon *b)
{
	const uint32_t actual = 0;

	if (b->counts.pages)
		memset(b->inside, 0, words_of(b->ram) * sizeof(*b->inside));
	sx_store_relaxed(&b->counts.pages, 0);
	for (unsigned i = 0; i < SX_BALLOON_STATS; i++)
		sx_store_relaxed(&b->counts.stat[i], UINT64_MAX);
	sx_virtio_config_set(&b->dev, CONFIG_ACTUAL, &actual, sizeof(actual), false);
}

static void reset(struct sx_virtio_device *dev)
{
	forget((struct sx_virtio_balloon *)dev);
}

static void config_write(struct sx_virtio_device *dev, uint32_t offset, unsigned size,
			 uint64_t value)
{
	uint32_t actual = htole32((uint32_t)value);

	if (offset == CONFIG_ACTUAL && size == sizeof(actual))
		sx_virtio_config_set(dev, CONFIG_ACTUAL, &actual, sizeof(actual), false);
	else
		dev->refused++;
}

static const char *const count_names[] = {
	"inflated", "deflated", "repeated", "bytes_reported", "bytes_returned", "kept", NULL};

static void counts(const struct sx_virtio_device *dev, uint64_t *count)
{
	const struct sx_balloon_counts *c = &((const struct sx_virtio_balloon *)dev)->counts;
	const uint64_t *const counter[] = {&c->inflated, &c->deflated, &c->repeated,
					   &c->reported, &c->returned, &c->kept};

	for (size_t i = 0; i < sizeof(counter) / sizeof(counter[0]); i++)
		count[i] = sx_load_relaxed(counter[i]);
}

static const struct sx_virtio_ops ops = {
	.name = "virtio-balloon",
	.id = VIRTIO_ID_BALLOON,
	.process = process,
	.queue_start = queue_start,
	.asked = asked,
	.config_write = config_write,
	.reset = reset,
	.count_names = count_names,
	.counts = counts,
};

int sx_virtio_balloon_init(struct sx_virtio_balloon *b, uint64_t target,
			   const struct sx_virtio_env *env, struct sx_error *err)
{
	const struct sx_virtio_shape shape = {
		.features = SX_VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ) |
			    SX_VIRTIO_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |
			    SX_VIRTIO_BIT(VIRTIO_BALLOON_F_REPORTING),
		.queues = SX_BALLOON_QUEUES,
		.queue_size = QUEUE_SIZE,
		.max_segs = MAX_SEGS,
		.config_size = CONFIG_SIZE,
	};
	struct sx_virtio_env direct = *env;
	int rc;

	memset(b, 0, sizeof(*b));
	if (!env->ram)
		return sx_fail(err, -EINVAL,
			       "this guest has no memory that a balloon could give "
			       "back");
	/* What it is told are the guest's own addresses. */
	direct.platform = false;
	direct.dma.translate = NULL;
	b->ram = env->ram;
	b->inside = calloc(words_of(b->ram), sizeof(*b->inside));
	if (!b->inside)
		return -ENOMEM;
	rc = sx_virtio_device_init(&b->dev, &ops, &shape, &direct, err);
	if (rc == 0)
		rc = sx_virtio_balloon_set_target(b, target ? target : b->ram->size, err);
	if (rc < 0) {
		sx_virtio_balloon_destroy(b);
		return rc;
	}
	forget(b);
	return 0;
}

struct sx_virtio_balloon *sx_virtio_balloon_of(struct sx_virtio_device *dev)
{
	return dev->ops == &ops ? (struct sx_virtio_balloon *)dev : NULL;
}

void sx_virtio_balloon_destroy(struct sx_virtio_balloon *b)
{
	sx_virtio_device_destroy(&b->dev);
	free(b->inside);
	b->inside = NULL;
}

/* ---- the target ---- */

static uint64_t pages_in_config(struct sx_virtio_balloon *b, uint32_t offset)
{
	uint8_t generation;
	uint64_t pages;

	do {
		generation = sx_virtio_generation(&b->dev);
		pages = sx_virtio_config_read(&b->dev, offset, sizeof(uint32_t));
	} while (generation != sx_virtio_generation(&b->dev));
	return pages;
}

int sx_virtio_balloon_set_target(struct sx_virtio_balloon *b, uint64_t bytes, struct sx_error *err)
{
	uint64_t pages = (b->ram->size - bytes) / SX_BALLOON_PAGE;
	uint32_t value = htole32(pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX);

	if (!bytes || bytes > b->ram->size)
		return sx_fail(err, -EINVAL,
			       "a balloon's target is at most the guest's memory, %" PRIu64
			       " MiB; choose less",
			       (uint64_t)b->ram->size >> 20);
	sx_virtio_config_set(&b->dev, CONFIG_TARGET, &value, sizeof(value), true);
	return 0;
}

uint64_t sx_virtio_balloon_target(struct sx_virtio_balloon *b)
{
	return b->ram->size - pages_in_config(b, CONFIG_TARGET) * SX_BALLOON_PAGE;
}

/* The guest may say anything. */
uint64_t sx_virtio_balloon_actual(struct sx_virtio_balloon *b)
{
	uint64_t gone = pages_in_config(b, CONFIG_ACTUAL) * SX_BALLOON_PAGE;

	return gone < b->ram->size ? b->ram->size - gone : 0;
}
