// SPDX-License-Identifier: BSD-3-Clause
/*
 * The peer of our streams: DPDK's rte_ring, one producer, one consumer, 64-byte elements.
 *
 *   rte_ring CPU_A CPU_B      the producer runs on CPU_A, the consumer on CPU_B
 *
 * It is driven by lines on its standard input and answers each on its standard output:
 *
 *   run BURST MESSAGES        ->  ok NS_PER_MESSAGE WAY...
 *   quit                      ->  (ends, as it does at the end of its input)
 *   anything it cannot do     ->  err SENTENCE
 *
 * The time runs from before the first enqueue until the consumer has read the last message. Every
 * byte of every message is written by the producer and read by the consumer, which adds them up;
 * a wrong sum is an error, so what was measured was done.
 *
 * It has to be fair to rte_ring, whose speed depends on how it is used, on the instructions it is
 * compiled to, and on the two cores, several times over and in no order that can be told ahead.
 * So the first run of a burst tries all the ways below on the very cores and keeps the one with the
 * lowest median; WAY says which:
 *   - the calls for copied elements, burst (as many as fit) and bulk (all or none), and the
 *     zero-copy calls, by which both sides work in the ring's own memory (DPDK Programmer's Guide,
 *     "Ring Library");
 *   - retrying at once, or after a PAUSE as DPDK's own ring_perf_autotest does;
 *   - rings of 64 to 16384 elements;
 *   - the instruction set DPDK itself was compiled for, AVX2, AVX-512.
 * gcc at -O2 serves it best: at -O3 a burst of 1 takes about twice as long, and one of 32 the same.
 * The ring lies in this program's own memory, on huge pages where there are any; no EAL is started.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <rte_pause.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>

#define MAX_BURST    64u
#define MAX_MESSAGES 1000000000ull

#define TRIALS         3u
#define TRIAL_MESSAGES 20000u
#define SMALLEST_RING  64u
#define RING_SIZES     9u /* doubling */
#define RING_MEMORY    (4ul << 20)
#define HUGE_PAGE      (2ul << 20)

struct message {
	uint64_t word[8];
} __rte_cache_aligned;

enum api { BURST, BULK, ZERO_COPY, APIS };
enum isa { BASE, AVX2, AVX512, ISAS };

static const char *const api_names[APIS] = {"burst", "bulk", "zero copy"};
static const char *const isa_names[ISAS] = {"base", "avx2", "avx512"};

struct way {
	enum api api;
	enum isa isa;
	bool pause;
	unsigned ring_size;
};

/* One run, shared by its two threads; each writes only its own line while it runs. */
struct run {
	struct rte_ring *ring;
	struct way way;
	unsigned burst;
	uint64_t messages;
	unsigned at_start __rte_cache_aligned; /* threads that are ready */
	uint64_t started_ns __rte_cache_aligned;
	uint64_t ended_ns __rte_cache_aligned;
	uint64_t sum;
} __rte_cache_aligned;

/* --- the messages -------------------------------------------------------------------------------
 */

static __rte_always_inline void write_message(struct message *m, uint64_t number)
{
	for (unsigned k = 0; k < 8; k++)
		m->word[k] = number + k;
}

static __rte_always_inline uint64_t read_message(const struct message *m)
{
	uint64_t sum = 0;

	for (unsigned k = 0; k < 8; k++)
		sum += m->word[k];
	return sum;
}

static uint64_t expected_sum(uint64_t messages)
{
	return 8 * (messages * (messages - 1) / 2) + 28 * messages;
}

/* How many to move next. A burst of 1 is known to the compiler, and needs no comparison. */
static __rte_always_inline unsigned next_burst(unsigned burst, uint64_t left)
{
	return burst == 1 || left >= burst ? burst : (unsigned)left;
}

static __rte_always_inline void before_retry(const struct run *run)
{
	if (run->way.pause)
		rte_pause();
}

/* --- one producer and one consumer for each API -------------------------------------------------
 */

static __rte_always_inline void enqueue_copied(struct run *run, bool bulk, unsigned burst)
{
	struct message out[MAX_BURST];

	for (uint64_t done = 0; done < run->messages;) {
		unsigned want = next_burst(burst, run->messages - done), sent = 0;

		for (unsigned i = 0; i < want; i++)
			write_message(&out[i], done + i);
		while (sent < want) {
			unsigned n = bulk ? rte_ring_sp_enqueue_bulk_elem(run->ring, out,
									  sizeof(*out), want, NULL)
					  : rte_ring_sp_enqueue_burst_elem(run->ring, out + sent,
									   sizeof(*out),
									   want - sent, NULL);

			if (n == 0)
				before_retry(run);
			sent += n;
		}
		done += want;
	}
}

static __rte_always_inline uint64_t dequeue_copied(struct run *run, bool bulk, unsigned burst)
{
	struct message in[MAX_BURST];
	uint64_t sum = 0;

	for (uint64_t done = 0; done < run->messages;) {
		unsigned want = next_burst(burst, run->messages - done);
		unsigned n =
			bulk ? rte_ring_sc_dequeue_bulk_elem(run->ring, in, sizeof(*in), want, NULL)
			     : rte_ring_sc_dequeue_burst_elem(run->ring, in, sizeof(*in), want,
							      NULL);

		if (n == 0)
			before_retry(run);
		for (unsigned i = 0; i < n; i++)
			sum += read_message(&in[i]);
		done += n;
	}
	return sum;
}

static __rte_always_inline void enqueue_in_place(struct run *run, unsigned burst)
{
	for (uint64_t done = 0; done < run->messages;) {
		unsigned want = next_burst(burst, run->messages - done), i = 0;
		struct rte_ring_zc_data room;
		struct message *m;

		if (!rte_ring_enqueue_zc_bulk_elem_start(run->ring, sizeof(*m), want, &room,
							 NULL)) {
			before_retry(run);
			continue;
		}
		for (m = room.ptr1; i < room.n1; i++)
			write_message(m++, done + i);
		for (m = room.ptr2; i < want; i++)
			write_message(m++, done + i);
		rte_ring_enqueue_zc_elem_finish(run->ring, want);
		done += want;
	}
}

static __rte_always_inline uint64_t dequeue_in_place(struct run *run, unsigned burst)
{
	uint64_t sum = 0;

	for (uint64_t done = 0; done < run->messages;) {
		unsigned want = next_burst(burst, run->messages - done), i = 0;
		struct rte_ring_zc_data room;
		const struct message *m;

		if (!rte_ring_dequeue_zc_bulk_elem_start(run->ring, sizeof(*m), want, &room,
							 NULL)) {
			before_retry(run);
			continue;
		}
		for (m = room.ptr1; i < room.n1; i++)
			sum += read_message(m++);
		for (m = room.ptr2; i < want; i++)
			sum += read_message(m++);
		rte_ring_dequeue_zc_elem_finish(run->ring, want);
		done += want;
	}
	return sum;
}

/* --- compiled for each burst that is known ahead, and for each instruction set ------------------
 */

static __rte_always_inline uint64_t produce_bursts(struct run *run, unsigned burst)
{
	switch (run->way.api) {
	case BURST:
		enqueue_copied(run, false, burst);
		break;
	case BULK:
		enqueue_copied(run, true, burst);
		break;
	default:
		enqueue_in_place(run, burst);
	}
	return 0;
}

static __rte_always_inline uint64_t consume_bursts(struct run *run, unsigned burst)
{
	switch (run->way.api) {
	case BURST:
		return dequeue_copied(run, false, burst);
	case BULK:
		return dequeue_copied(run, true, burst);
	default:
		return dequeue_in_place(run, burst);
	}
}

#define FOR_EACH_BURST(work, run)             \
	((run)->burst == 1    ? work(run, 1)  \
	 : (run)->burst == 32 ? work(run, 32) \
			      : work(run, (run)->burst))

#define COMPILED_FOR(isa, attributes)                             \
	attributes static uint64_t produce_##isa(struct run *run) \
	{                                                         \
		return FOR_EACH_BURST(produce_bursts, run);       \
	}                                                         \
	attributes static uint64_t consume_##isa(struct run *run) \
	{                                                         \
		return FOR_EACH_BURST(consume_bursts, run);       \
	}

COMPILED_FOR(base, )
COMPILED_FOR(avx2, __attribute__((target("avx2,bmi,bmi2"))))
COMPILED_FOR(avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2"))))

typedef uint64_t work_fn(struct run *run);
static work_fn *const produce[ISAS] = {produce_base, produce_avx2, produce_avx512};
static work_fn *const consume[ISAS] = {consume_base, consume_avx2, consume_avx512};

static bool have_isa(enum isa isa)
{
	switch (isa) {
	case AVX2:
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
	case AVX512:
		return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("bmi2");
	default:
		return true;
	}
}

/* --- one run ------------------------------------------------------------------------------------
 */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void start_together(struct run *run)
{
	__atomic_add_fetch(&run->at_start, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&run->at_start, __ATOMIC_ACQUIRE) < 2)
		rte_pause();
}

static void *consumer(void *arg)
{
	struct run *run = arg;

	start_together(run);
	run->sum = consume[run->way.isa](run);
	run->ended_ns = now_ns();
	return NULL;
}

/* The calling thread, which is on the first CPU, produces. 0 or a positive errno. */
static int do_run(struct run *run, int cpu, double *ns_per_message)
{
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t set;
	int ret;

	ret = rte_ring_init(run->ring, "peer", run->way.ring_size, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (ret)
		return -ret;
	run->at_start = 0;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	ret = pthread_create(&thread, &attr, consumer, run);
	pthread_attr_destroy(&attr);
	if (ret)
		return ret;

	start_together(run);
	run->started_ns = now_ns();
	produce[run->way.isa](run);
	pthread_join(thread, NULL);

	if (run->sum != expected_sum(run->messages))
		return EBADMSG;
	*ns_per_message = (double)(run->ended_ns - run->started_ns) / (double)run->messages;
	return 0;
}

/* --- which way is the best here -----------------------------------------------------------------
 */

#define WAYS (APIS * ISAS * 2 * RING_SIZES)

static struct way way_number(unsigned i)
{
	struct way way = {.ring_size = SMALLEST_RING << i % RING_SIZES};

	i /= RING_SIZES;
	way.pause = i % 2;
	i /= 2;
	way.isa = i % ISAS;
	way.api = i / ISAS;
	return way;
}

/* A ring holds one element less than its size. */
static bool possible(const struct way *way, unsigned burst)
{
	return have_isa(way->isa) && way->ring_size > burst;
}

static double median(double *v)
{
	for (unsigned i = 1; i < TRIALS; i++)
		for (unsigned k = i; k > 0 && v[k] < v[k - 1]; k--) {
			double t = v[k];

			v[k] = v[k - 1];
			v[k - 1] = t;
		}
	return v[TRIALS / 2];
}

/* Each way is tried once, then each again: a disturbance hits neighbours, not one way alone. */
static int find_best_way(struct run *run, int cpu, struct way *best)
{
	static double ns[WAYS][TRIALS];
	double lowest = 0;
	bool found = false;

	run->messages = TRIAL_MESSAGES;
	for (unsigned trial = 0; trial < TRIALS; trial++)
		for (unsigned i = 0; i < WAYS; i++) {
			int ret;

			run->way = way_number(i);
			if (!possible(&run->way, run->burst))
				continue;
			ret = do_run(run, cpu, &ns[i][trial]);
			if (ret)
				return ret;
		}
	for (unsigned i = 0; i < WAYS; i++) {
		struct way way = way_number(i);
		double typical = median(ns[i]);

		if (!possible(&way, run->burst) || (found && typical >= lowest))
			continue;
		found = true;
		lowest = typical;
		*best = way;
	}
	return 0;
}

/* --- the protocol -------------------------------------------------------------------------------
 */

struct peer {
	struct run run;
	int consumer_cpu;
	struct way best[MAX_BURST + 1];
	bool known[MAX_BURST + 1];
};

static void answer_error(int code)
{
	if (code == EBADMSG)
		printf("err rte_ring delivered other messages than were put into it\n");
	else
		printf("err the run could not be started: %s\n", strerror(code));
}

static void answer_run(struct peer *peer, unsigned burst, uint64_t messages)
{
	struct run *run = &peer->run;
	const struct way *way = &peer->best[burst];
	double ns = 0;
	int ret = 0;

	run->burst = burst;
	if (!peer->known[burst])
		ret = find_best_way(run, peer->consumer_cpu, &peer->best[burst]);
	if (ret)
		return answer_error(ret);
	peer->known[burst] = true;

	run->messages = messages;
	run->way = *way;
	ret = do_run(run, peer->consumer_cpu, &ns);
	if (ret)
		return answer_error(ret);
	printf("ok %.3f %s, %u slots, %s%s\n", ns, api_names[way->api], way->ring_size,
	       isa_names[way->isa], way->pause ? ", pause" : "");
}

/* A decimal number and nothing else; 0 when it is none or above @max. */
static uint64_t parse_number(const char *text, uint64_t max)
{
	char *end;
	uint64_t n;

	if (!text || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	return errno || *end || n > max ? 0 : n;
}

/* False when there is nothing more to do. */
static bool obey(struct peer *peer, char *line)
{
	char *rest = NULL;
	const char *verb = strtok_r(line, " \n", &rest);
	const char *burst_text, *messages_text;
	uint64_t burst, messages;

	if (verb && strcmp(verb, "quit") == 0)
		return false;
	burst_text = strtok_r(NULL, " \n", &rest);
	messages_text = strtok_r(NULL, " \n", &rest);
	burst = parse_number(burst_text, MAX_BURST);
	messages = parse_number(messages_text, MAX_MESSAGES);
	if (!verb || strcmp(verb, "run") != 0 || !burst || !messages ||
	    strtok_r(NULL, " \n", &rest))
		printf("err say 'run BURST MESSAGES' with a burst of 1 to %u and 1 to %llu "
		       "messages, or 'quit'\n",
		       MAX_BURST, MAX_MESSAGES);
	else
		answer_run(peer, (unsigned)burst, messages);
	return true;
}

/* --- set-up -------------------------------------------------------------------------------------
 */

/* Room for the largest ring, already touched. It lives as long as the program. */
static struct rte_ring *make_room(void)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *memory = mmap(NULL, RING_MEMORY + HUGE_PAGE, prot, flags, -1, 0);
	const unsigned largest = SMALLEST_RING << (RING_SIZES - 1);

	if (memory == MAP_FAILED ||
	    rte_ring_get_memsize_elem(sizeof(struct message), largest) > (ssize_t)RING_MEMORY)
		return NULL;
	memory += -(uintptr_t)memory % HUGE_PAGE;
	madvise(memory, RING_MEMORY, MADV_HUGEPAGE); /* only speeds it up */
	memset(memory, 0, RING_MEMORY);
	return (struct rte_ring *)memory;
}

static int parse_cpu(const char *text)
{
	return text[0] == '0' && !text[1] ? 0 : (int)parse_number(text, CPU_SETSIZE - 1);
}

static int stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

int main(int argc, char **argv)
{
	static struct peer peer;
	char line[128];
	int cpu, ret;

	if (argc != 3) {
		fprintf(stderr, "usage: rte_ring CPU_OF_PRODUCER CPU_OF_CONSUMER\n");
		return 2;
	}
	cpu = parse_cpu(argv[1]);
	peer.consumer_cpu = parse_cpu(argv[2]);
	if (cpu == peer.consumer_cpu) {
		fprintf(stderr, "rte_ring: both threads poll, so they need two different CPUs\n");
		return 2;
	}
	ret = stay_on(cpu);
	if (ret) {
		fprintf(stderr, "rte_ring: cannot run on CPU %d: %s\n", cpu, strerror(-ret));
		return 1;
	}
	peer.run.ring = make_room();
	if (!peer.run.ring) {
		fprintf(stderr, "rte_ring: no memory for the ring\n");
		return 1;
	}

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin) && obey(&peer, line))
		;
	return 0;
}
