/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest of `splitx bench virtio`: drives a disk and a network device by its own driver, and
 * checks every block and every frame. With a PCI root (boot_info.argument says where) it finds
 * the devices there; without, it lays the network's rings out and tells the host where they are.
 *
 * Before a command another one prepares (SX_BENCH_PREPARE): the rings' kind, and whether the device
 * interrupts when it is done with a request, which then is not looked for before.
 */
#include "bench/guests/lib/virtio.h"

#include "bench/guests/bench_page.h"

#define MAX_DEPTH    32u
#define BLK_DESCS    3u
#define BUFFER_BYTES 2048u
#define PATIENCE_S   20u /* without progress; whoever waits longer has lost something */
#define VECTOR       64u

enum { RX, TX };

/* A disk's feature, request and status (virtio 1.2, 5.2). */
#define BLK_F_FLUSH (1ull << 9)
#define BLK_IN      0
#define BLK_OUT     1
#define BLK_OK      0

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

/* Before each frame (5.1.6); all zeros here. */
struct net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

static const struct sx_boot_info *boot;
static struct sx_bench_page *page;
static uint64_t patience; /* TSC cycles */
static uint32_t how;      /* SX_BENCH_PACKED, SX_BENCH_INTERRUPTS: as prepared */
static uint64_t heard;    /* of page->interrupts, at the last look */

/* ---- a run: samples or warm-up ---- */

struct run {
	bool record;
	uint64_t count;    /* requests to do */
	uint64_t started;  /* so many were published */
	uint64_t done;     /* and are finished */
	uint64_t deadline; /* TSC */
	uint64_t window;   /* TSC, when the current one began */
};

static void progress(struct run *r, uint64_t done)
{
	r->done += done;
	r->deadline = __builtin_ia32_rdtsc() + patience;
}

/* Asked where there was nothing to do. */
static bool is_lost(const struct run *r)
{
	sx_pause();
	return __builtin_ia32_rdtsc() > r->deadline;
}

static struct run new_run(uint64_t count, bool record)
{
	struct run r = {.record = record, .count = count};

	progress(&r, 0);
	r.window = tsc_begin();
	return r;
}

static void note_sample(struct run *r, uint64_t i, uint64_t begun, uint64_t now)
{
	if (!r->record)
		return;
	page->sample[i] = now - begun;
	if (!page->window || (i + 1) % page->window)
		return;
	page->sample[page->samples + i / page->window] = now - r->window;
	r->window = now;
}

/* ---- what both devices need ---- */

static void on_interrupt(void)
{
	guest_eoi();
	/* It interrupts the only other one who uses it: no pair. */
	sx_store_relaxed(&page->interrupts, page->interrupts + 1);
}

/* What is used, if anything; with interrupts on, only when there was one. */
static const struct guest_used *hear(struct guest_vq *vq)
{
	if (how & SX_BENCH_INTERRUPTS) {
		uint64_t now = sx_load_relaxed(&page->interrupts);

		if (now == heard)
			return NULL;
		/* Before the look: what is used from here on interrupts once more. */
		heard = now;
	}
	return guest_vq_take(vq);
}

static uint64_t features_of(bool packed)
{
	return GUEST_VIRTIO_VERSION_1 | (packed ? GUEST_VIRTIO_PACKED : 0);
}

/* ---- the disk ---- */

/* Slot i owns descriptors 3i to 3i + 2. */
static struct {
	struct sx_bench_block block __attribute__((aligned(4096)));
	struct blk_header header;
	uint64_t number;
	uint64_t begun; /* TSC */
	uint8_t status;
} slots[MAX_DEPTH];

static struct guest_vring blk_ring;
static struct guest_vq blk_queue;
static uint64_t blocks;
static uint64_t random = 1;
static uint64_t stamp;

static void lay_blk_chain(unsigned i)
{
	struct guest_desc *d = &blk_ring.desc[(size_t)BLK_DESCS * i];

	d[0] = (struct guest_desc){(uintptr_t)&slots[i].header, sizeof(slots[i].header),
				   GUEST_DESC_NEXT, (uint16_t)(BLK_DESCS * i + 1)};
	d[1] = (struct guest_desc){(uintptr_t)&slots[i].block, SX_BENCH_BLOCK, GUEST_DESC_NEXT,
				   (uint16_t)(BLK_DESCS * i + 2)};
	d[2] = (struct guest_desc){(uintptr_t)&slots[i].status, 1, GUEST_DESC_WRITE, 0};
}

static void set_up_blk(bool packed)
{
	struct guest_virtio dev;

	GUEST_ASSERT(guest_virtio_find(boot->argument, GUEST_VIRTIO_BLOCK, &dev));
	/* With a FLUSH that we do not use, a write need not be on stable storage (5.2.6.2). */
	GUEST_ASSERT(guest_virtio_negotiate(&dev, features_of(packed) | BLK_F_FLUSH));
	GUEST_ASSERT(guest_virtio_route(&dev, VECTOR));
	blk_queue = guest_vq(&blk_ring, 0, packed, BLK_DESCS);
	GUEST_ASSERT(guest_virtio_add_queue(&dev, &blk_queue));
	guest_virtio_start(&dev);
	blocks = guest_virtio_config(&dev, 0) * 512 / SX_BENCH_BLOCK;
	GUEST_ASSERT(blocks >= MAX_DEPTH);
	for (unsigned i = 0; i < MAX_DEPTH; i++)
		lay_blk_chain(i);
}

/* A block at random that no other slot uses at the same time. */
static uint64_t pick_block(unsigned slot)
{
	random = random * 6364136223846793005u + 1442695040888963407u; /* MMIX's generator */
	return (random >> 33) % (blocks / MAX_DEPTH) * MAX_DEPTH + slot;
}

static void start_request(unsigned slot, bool write)
{
	struct sx_bench_block *b = &slots[slot].block;
	uint64_t number = pick_block(slot);

	slots[slot].number = number;
	slots[slot].status = 0xff;
	slots[slot].header = (struct blk_header){
		.type = write ? BLK_OUT : BLK_IN,
		.sector = number * (SX_BENCH_BLOCK / 512),
	};
	b->number = write ? number : ~0ull;
	b->stamp = write ? ++stamp : 0;
	b->check = write ? number ^ stamp ^ SX_BENCH_MAGIC : 0;
	blk_ring.desc[(size_t)BLK_DESCS * slot + 1].flags =
		(uint16_t)(GUEST_DESC_NEXT | (write ? 0 : GUEST_DESC_WRITE));
	slots[slot].begun = tsc_begin();
	guest_vq_offer(&blk_queue, (uint16_t)(BLK_DESCS * slot));
	guest_vq_publish(&blk_queue);
}

static void finish_request(struct run *r, unsigned slot)
{
	const struct sx_bench_block *b = &slots[slot].block;

	note_sample(r, r->done, slots[slot].begun, tsc_end());
	page->failures += slots[slot].status != BLK_OK || b->number != slots[slot].number ||
			  b->check != (b->number ^ b->stamp ^ SX_BENCH_MAGIC);
	progress(r, 1);
}

/* Each request is published by itself, as a program that keeps `depth` of them under way does. */
static void run_blk(uint64_t count, bool write, bool record)
{
	struct run r = new_run(count, record);
	unsigned idle[MAX_DEPTH], idle_count = 0;

	while (idle_count < page->depth) {
		idle[idle_count] = idle_count;
		idle_count++;
	}
	while (r.done < r.count) {
		const struct guest_used *used;

		if (idle_count && r.started < r.count) {
			start_request(idle[--idle_count], write);
			r.started++;
		}
		used = hear(&blk_queue);
		if (used) {
			idle[idle_count] = used->id / BLK_DESCS;
			finish_request(&r, idle[idle_count++]);
		} else if ((!idle_count || r.started == r.count) && is_lost(&r)) {
			page->failures++;
			return;
		}
	}
}

/* ---- the network ---- */

struct buffer {
	struct net_header header;
	union {
		struct sx_bench_frame frame;
		uint8_t bytes[BUFFER_BYTES - sizeof(struct net_header)];
	};
};

/* Buffer i is described by descriptor i. */
static struct buffer buffers[2][GUEST_VQ_SIZE] __attribute__((aligned(4096)));
static struct guest_vring net_ring[2];
static struct guest_vq net_queue[2];
static uint64_t sent;                 /* frames so far: the next one's sequence */
static uint64_t expected;             /* the sequence of the next frame to come */
static bool expecting;                /* false: whichever comes is the first */
static uint64_t begun[GUEST_VQ_SIZE]; /* TSC, of the burst that begins with such a sequence */

static void lay_net_buffers(void)
{
	static const uint8_t mac[6] = SX_BENCH_MAC;

	for (unsigned i = 0; i < GUEST_VQ_SIZE; i++) {
		struct sx_bench_frame *f = &buffers[TX][i].frame;

		net_ring[RX].desc[i] = (struct guest_desc){(uintptr_t)&buffers[RX][i], BUFFER_BYTES,
							   GUEST_DESC_WRITE, 0};
		net_ring[TX].desc[i].addr = (uintptr_t)&buffers[TX][i];
		memcpy(f->to, mac, sizeof(mac));
		memcpy(f->from, mac, sizeof(mac));
		f->type = SX_BENCH_ETHERTYPE;
	}
}

/* Without a PCI root the host gets to know where the rings are: tell_rings(). */
static void set_up_net(bool packed)
{
	struct guest_virtio dev;

	for (unsigned q = RX; q <= TX; q++)
		net_queue[q] = guest_vq(&net_ring[q], (uint16_t)q, packed, 1);
	for (uint16_t i = 0; i < GUEST_VQ_SIZE; i++)
		guest_vq_offer(&net_queue[RX], i);
	if (boot->argument) {
		GUEST_ASSERT(guest_virtio_find(boot->argument, GUEST_VIRTIO_NET, &dev));
		GUEST_ASSERT(guest_virtio_negotiate(&dev, features_of(packed)));
		GUEST_ASSERT(guest_virtio_route(&dev, VECTOR));
		for (unsigned q = RX; q <= TX; q++)
			GUEST_ASSERT(guest_virtio_add_queue(&dev, &net_queue[q]));
		guest_virtio_start(&dev);
	}
	guest_vq_publish(&net_queue[RX]);
}

static void tell_rings(void)
{
	page->rings.size = GUEST_VQ_SIZE;
	for (unsigned q = RX; q <= TX; q++) {
		page->rings.ring[q].desc = (uintptr_t)net_ring[q].desc;
		page->rings.ring[q].avail = (uintptr_t)&net_ring[q].avail;
		page->rings.ring[q].used = (uintptr_t)&net_ring[q].used;
	}
}

static void send_burst(struct run *r)
{
	uint32_t len = page->bytes;

	begun[sent % GUEST_VQ_SIZE] = tsc_begin();
	for (uint32_t k = 0; k < page->batch; k++, sent++) {
		uint16_t i = sent % GUEST_VQ_SIZE;
		struct buffer *b = &buffers[TX][i];

		b->frame.sequence = sent;
		b->bytes[len - 1] = (uint8_t)sent;
		net_ring[TX].desc[i].len = (uint32_t)sizeof(b->header) + len;
		guest_vq_offer(&net_queue[TX], i);
	}
	guest_vq_publish(&net_queue[TX]);
	r->started += page->batch;
}

/* Frames the device is done with, so far as it is; it takes them in order. */
static unsigned reap_sent(void)
{
	unsigned n = 0;

	while (guest_vq_take(&net_queue[TX]))
		n++;
	return n;
}

static void check_frame(const struct buffer *b, uint32_t written)
{
	bool good = written == sizeof(b->header) + page->bytes;

	if (!page->unchecked) {
		if (!expecting)
			expected = b->frame.sequence;
		expecting = true;
		good = good && b->frame.sequence == expected &&
		       b->bytes[page->bytes - 1] == (uint8_t)expected;
		expected++;
	}
	page->failures += !good;
}

/* Take what has come, at most @max frames, and give the buffers back. */
static unsigned receive(unsigned max)
{
	const struct guest_used *used;
	unsigned n = 0;

	while (n < max && (used = hear(&net_queue[RX]))) {
		check_frame(&buffers[RX][used->id % GUEST_VQ_SIZE], used->len);
		guest_vq_offer(&net_queue[RX], (uint16_t)used->id);
		n++;
	}
	if (n)
		guest_vq_publish(&net_queue[RX]);
	return n;
}

/* @n more of the frames are done, which were sent from number @first on: note the full bursts. */
static void finish_frames(struct run *r, uint64_t first, unsigned n)
{
	uint64_t now = tsc_end();
	uint64_t burst = r->done / page->batch;

	progress(r, n);
	for (; burst < r->done / page->batch; burst++)
		note_sample(r, burst, begun[(first + burst * page->batch) % GUEST_VQ_SIZE], now);
}

/* Send; @forward: and have it all come back. */
static void run_send(uint64_t bursts, bool forward, bool record)
{
	struct run r = new_run(bursts * page->batch, record);
	uint64_t first = sent, reaped = 0;

	while (r.done < r.count || reaped < r.count) {
		unsigned n, freed = reap_sent();

		reaped += freed;
		n = forward ? receive(page->batch) : freed;
		if (n)
			finish_frames(&r, first, n);
		if (r.started < r.count && r.started + page->batch <= r.done + page->depth &&
		    r.started + page->batch <= reaped + GUEST_VQ_SIZE)
			send_burst(&r);
		else if (!n && !freed && is_lost(&r)) {
			page->failures++;
			return;
		}
	}
}

static void run_receive(uint64_t bursts, bool record)
{
	struct run r = new_run(bursts * page->batch, record);
	uint64_t since = tsc_begin();

	while (r.done < r.count) {
		uint64_t before = r.done / page->batch;
		uint64_t left = page->batch - r.done % page->batch;
		unsigned n = receive((unsigned)left);

		if (!n) {
			if (!is_lost(&r))
				continue;
			page->failures++;
			return;
		}
		progress(&r, n);
		if (n == left) {
			uint64_t now = tsc_end();

			note_sample(&r, before, since, now);
			since = now;
		}
	}
}

/* Give back what came before this command, unseen. */
static void forget_received(void)
{
	const struct guest_used *used;

	while ((used = guest_vq_take(&net_queue[RX])))
		guest_vq_offer(&net_queue[RX], (uint16_t)used->id);
	guest_vq_publish(&net_queue[RX]);
}

/* ---- commands ---- */

/* Without a PCI root there is nothing to be changed. */
static void prepare(void)
{
	bool packed = page->how & SX_BENCH_PACKED, listen = page->how & SX_BENCH_INTERRUPTS;

	if (!boot->argument) {
		page->failures += page->how != 0;
		return;
	}
	if (packed != blk_queue.packed) {
		set_up_blk(packed);
		set_up_net(packed);
	}
	how = page->how;
	guest_vq_listen(&blk_queue, listen);
	guest_vq_listen(&net_queue[RX], listen);
}

static void operate(uint64_t count, bool record)
{
	switch (page->op) {
	case SX_BENCH_BLK_READ:
	case SX_BENCH_BLK_WRITE:
		run_blk(count, page->op == SX_BENCH_BLK_WRITE, record);
		break;
	case SX_BENCH_NET_TX:
	case SX_BENCH_NET_FORWARD:
		run_send(count, page->op == SX_BENCH_NET_FORWARD, record);
		break;
	case SX_BENCH_NET_RX:
		run_receive(count, record);
		break;
	default:
		page->failures++;
	}
}

/* What would run over our arrays is the benchmark's mistake. */
static bool is_sound(void)
{
	/* Of two requests one interrupt may tell, and hear() takes one. */
	if ((how & SX_BENCH_INTERRUPTS) &&
	    (page->depth > 1 || page->op == SX_BENCH_NET_TX || page->op == SX_BENCH_NET_RX))
		return false;
	if (page->op == SX_BENCH_BLK_READ || page->op == SX_BENCH_BLK_WRITE)
		return boot->argument && page->depth >= 1 && page->depth <= MAX_DEPTH;
	return page->batch >= 1 && page->batch <= page->depth && page->depth <= GUEST_VQ_SIZE &&
	       page->bytes > sizeof(struct sx_bench_frame) &&
	       page->bytes <= sizeof(buffers[0][0].bytes);
}

static void carry_out(void)
{
	page->done = 0;
	page->failures = 0;
	page->interrupts = heard = 0;
	if (page->op == SX_BENCH_PREPARE) {
		prepare();
		return;
	}
	page->failures = !is_sound();
	if (page->failures)
		return;
	if (page->op == SX_BENCH_NET_TX || page->op == SX_BENCH_NET_FORWARD)
		forget_received();
	expecting = page->op == SX_BENCH_NET_FORWARD;
	expected = sent;
	operate(page->warmup, false);
	operate(page->samples, true);
	page->done = page->warmup + page->samples;
}

int guest_main(const struct sx_boot_info *info, unsigned vcpu)
{
	(void)vcpu;
	boot = info;
	page = (struct sx_bench_page *)(uintptr_t)boot->heap;
	patience = (boot->tsc_khz ? boot->tsc_khz : 3000000ull) * 1000 * PATIENCE_S;
	guest_enable_apic();
	guest_handle(VECTOR, on_interrupt);
	lay_net_buffers();
	if (boot->argument)
		set_up_blk(false);
	set_up_net(false);
	tell_rings();
	for (;;) {
		outl(SX_PORT_YIELD, 0);
		carry_out();
	}
}
