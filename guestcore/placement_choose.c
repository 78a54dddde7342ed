// SPDX-License-Identifier: BSD-3-Clause
/*
 * Choosing the CPUs that the user did not name.
 *
 * Where neither list is given, the smallest part of the machine that holds all is sought (a
 * cache, a NUMA node, a package, everything), and in it, for each sidecore and the guest cores it
 * serves, the smallest part that holds these. Where one list is given, the other is chosen CPU by
 * CPU, as near as possible to those that it will work with.
 */
#include "guestcore/placement_internal.h"

#include <errno.h>
#include <stdint.h>

enum level {
	IN_CACHE, /* same last-level cache and NUMA node */
	IN_NODE,
	IN_PACKAGE,
	IN_MACHINE,
};

/* Everything that shares @level with @with. */
struct domain {
	enum level level;
	const struct sx_place_cpu *with;
};

struct chooser {
	struct sx_placement *p;
	bool siblings;      /* several threads of a core may be taken */
	bool only_isolated; /* only isolated CPUs may be taken */
	struct domain pool; /* nothing outside is taken */
};

static bool in_domain(const struct domain *d, const struct sx_place_cpu *cpu)
{
	switch (d->level) {
	case IN_CACHE:
		return cpu->cache == d->with->cache && cpu->node == d->with->node;
	case IN_NODE:
		return cpu->node == d->with->node;
	case IN_PACKAGE:
		return cpu->package == d->with->package;
	case IN_MACHINE:
		break;
	}
	return true;
}

static bool may_take(const struct chooser *c, const struct sx_place_cpu *cpu)
{
	return cpu->role == SX_ROLE_HOST && cpu->allowed && in_domain(&c->pool, cpu) &&
	       (cpu->isolated || !c->only_isolated);
}

/* Is another thread of this core a guest core or sidecore? Threads of a core are neighbours. */
static bool sibling_taken(const struct sx_placement *p, const struct sx_place_cpu *cpu)
{
	const struct sx_place_cpu *first = cpu, *end = p->cpu + p->n_cpus;

	while (first > p->cpu && first[-1].core == cpu->core)
		first--;
	for (; first < end && first->core == cpu->core; first++) {
		if (first != cpu && first->role != SX_ROLE_HOST)
			return true;
	}
	return false;
}

/* Without siblings a core offers its first usable thread only, so that counts are of cores. */
static bool is_free(const struct chooser *c, const struct sx_place_cpu *cpu)
{
	if (!may_take(c, cpu))
		return false;
	if (c->siblings)
		return true;
	for (const struct sx_place_cpu *t = cpu; t > c->p->cpu && t[-1].core == cpu->core; t--) {
		if (may_take(c, t - 1))
			return false;
	}
	return !sibling_taken(c->p, cpu);
}

struct tally {
	unsigned free, isolated, not_zero; /* not_zero: free ones that are not CPU 0 */
};

static struct tally count(const struct chooser *c, const struct domain *d)
{
	struct tally n = {0};

	for (unsigned i = 0; i < c->p->n_cpus; i++) {
		const struct sx_place_cpu *cpu = &c->p->cpu[i];

		if (!in_domain(d, cpu) || !is_free(c, cpu))
			continue;
		n.free++;
		n.isolated += cpu->isolated;
		n.not_zero += cpu->os != 0;
	}
	return n;
}

/* The domain of CPU @i, unless it is the previous CPU's too: those of a domain are neighbours. */
static bool next_domain(const struct chooser *c, enum level level, unsigned i, struct domain *d)
{
	*d = (struct domain){level, &c->p->cpu[i]};
	return i == 0 || !in_domain(d, &c->p->cpu[i - 1]);
}

/*
 * The smallest part of the pool with @need free CPUs. Among equals, one that has so many isolated
 * CPUs, then one that can do without CPU 0, then the first.
 */
static struct domain smallest_with(const struct chooser *c, unsigned need)
{
	struct domain best = c->pool;
	int best_score = -1;

	for (enum level level = IN_CACHE; level < c->pool.level && best_score < 0; level++) {
		for (unsigned i = 0; i < c->p->n_cpus; i++) {
			struct domain d;
			struct tally n;
			int score;

			if (!next_domain(c, level, i, &d))
				continue;
			n = count(c, &d);
			score = 2 * (n.isolated >= need) + (n.not_zero >= need);
			if (n.free >= need && score > best_score) {
				best = d;
				best_score = score;
			}
		}
	}
	return best;
}

/* The part of @d, one level down, that has the most free CPUs, preferably besides CPU 0. */
static struct domain roomiest_of(const struct chooser *c, const struct domain *d)
{
	enum level level = d->level > IN_NODE ? IN_NODE : IN_CACHE;
	struct domain best = *d;
	unsigned most = 0;

	for (unsigned i = 0; i < c->p->n_cpus; i++) {
		struct domain part;
		struct tally n;

		if (!in_domain(d, &c->p->cpu[i]) || !next_domain(c, level, i, &part))
			continue;
		n = count(c, &part);
		if (n.free + n.not_zero > most) {
			best = part;
			most = n.free + n.not_zero;
		}
	}
	return best;
}

/* CPUs, by their index, that the next choice will work with. */
struct partners {
	const unsigned *cpu;
	unsigned n;
};

/*
 * What speaks against a CPU, most important first: a sibling at work, other NUMA nodes than its
 * partners', for a guest core CPU 0, other caches, no isolation, CPU 0.
 */
static uint64_t cost(const struct chooser *c, const struct sx_place_cpu *cpu,
		     enum sx_place_role role, const struct partners *with)
{
	uint64_t nodes = 0, caches = 0;
	bool zero = cpu->os == 0;

	for (unsigned i = 0; i < with->n; i++) {
		const struct sx_place_cpu *o = &c->p->cpu[with->cpu[i]];

		nodes += 2 * (cpu->package != o->package) + (cpu->node != o->node);
		caches += cpu->cache != o->cache;
	}
	return (uint64_t)sibling_taken(c->p, cpu) << 63 | nodes << 32 |
	       (uint64_t)(zero && role == SX_ROLE_GUEST) << 31 | caches << 2 |
	       (uint64_t)!cpu->isolated << 1 | zero;
}

/* Give @role to the best free CPU of @d. The caller has counted: there is one. */
static void take(const struct chooser *c, const struct domain *d, enum sx_place_role role,
		 const struct partners *with)
{
	uint64_t best_cost = UINT64_MAX;
	unsigned best = 0;

	for (unsigned i = 0; i < c->p->n_cpus; i++) {
		uint64_t this_cost;

		if (!in_domain(d, &c->p->cpu[i]) || !is_free(c, &c->p->cpu[i]))
			continue;
		this_cost = cost(c, &c->p->cpu[i], role, with);
		if (this_cost < best_cost) {
			best_cost = this_cost;
			best = i;
		}
	}
	sx_place_give(c->p, best, role);
}

/* The first of the @n_guest guest cores in share @i; the inverse of sx_place_share(). */
static unsigned share_start(unsigned i, unsigned n_side, unsigned n_guest)
{
	return (unsigned)((uint64_t)i * n_guest / n_side);
}

/*
 * Guest cores and the sidecore that serves them. In one cache the sidecore comes last, and so gets
 * CPU 0 when somebody must. Over several it comes second, where there is the most room, to be
 * where most of its guest cores will be.
 */
static void take_group(struct chooser *c, const struct domain *d, unsigned guests, bool sidecore)
{
	const struct sx_placement *p = c->p;
	unsigned first = p->n_guest, before = guests;
	struct domain start = *d;

	if (d->level != IN_CACHE && guests) {
		before = 1;
		start = roomiest_of(c, d);
	}
	for (unsigned i = 0; i < before; i++) {
		struct partners previous = {&p->guest[first + i] - (i > 0), i > 0};

		take(c, &start, SX_ROLE_GUEST, &previous);
	}
	if (sidecore)
		take(c, d, SX_ROLE_SIDECORE, &(struct partners){&p->guest[first], before});
	for (unsigned i = before; i < guests; i++)
		take(c, d, SX_ROLE_GUEST, &(struct partners){&p->guest[first], 1});
}

static void take_all(struct chooser *c, unsigned n_guest, unsigned n_side)
{
	unsigned groups = n_side ? n_side : 1;

	c->pool = smallest_with(c, n_guest + n_side);
	for (unsigned g = 0; g < groups; g++) {
		unsigned first = share_start(g, groups, n_guest);
		unsigned guests = share_start(g + 1, groups, n_guest) - first;
		struct domain d = smallest_with(c, guests + !!n_side);

		take_group(c, &d, guests, n_side);
	}
}

static void take_sidecores(struct chooser *c, unsigned n_side)
{
	const struct sx_placement *p = c->p;

	for (unsigned s = 0; s < n_side; s++) {
		unsigned first = share_start(s, n_side, p->n_guest);
		unsigned n = share_start(s + 1, n_side, p->n_guest) - first;
		struct partners with = {n ? &p->guest[first] : p->guest, n ? n : p->n_guest};

		take(c, &c->pool, SX_ROLE_SIDECORE, &with);
	}
}

static void take_guests(struct chooser *c, unsigned n_guest)
{
	const struct sx_placement *p = c->p;

	for (unsigned g = 0; g < n_guest; g++) {
		struct partners with = {&p->side[sx_place_share(g, n_guest, p->n_side)], 1};

		take(c, &c->pool, SX_ROLE_GUEST, &with);
	}
}

/* The strictest way of choosing that gives @need CPUs; else the one that gives the most. */
static unsigned settle(struct chooser *c, unsigned need, bool allow_smt)
{
	/* With partners given, near comes before isolated. */
	bool alone = !c->p->n_guest && !c->p->n_side;
	unsigned n = 0;

	for (unsigned siblings = 0; siblings <= allow_smt; siblings++) {
		c->siblings = siblings;
		c->only_isolated = alone;
		n = count(c, &c->pool).free;
		if (n >= need)
			break;
		c->only_isolated = false;
		n = count(c, &c->pool).free;
		if (n >= need)
			break;
	}
	return n;
}

static int too_few(const struct chooser *c, unsigned n_side, unsigned free, unsigned for_guests,
		   struct sx_error *err)
{
	struct chooser threads = *c;
	bool smt_helps;

	threads.siblings = true;
	smt_helps = count(&threads, &c->pool).free >= (uint64_t)n_side + for_guests;
	if (!n_side)
		return sx_fail(err, -ENOSPC,
			       "no CPU is left for a guest core; name fewer --sidecores or let the "
			       "process use more CPUs%s",
			       smt_helps ? ", or take SMT siblings with --smt" : "");
	return sx_fail(err, -ENOSPC,
		       "%u sidecore%s asked for, but this process has %u free core%s%s; ask for "
		       "fewer, let the process use more CPUs%s, or use trap mode, which needs none",
		       n_side, n_side == 1 ? " is" : "s are", free, free == 1 ? "" : "s",
		       for_guests ? ", of which the guest needs one" : " left",
		       smt_helps ? ", take SMT siblings with --smt" : "");
}

int sx_place_choose(struct sx_placement *p, unsigned n_guest, unsigned n_side, bool allow_smt,
		    struct sx_error *err)
{
	struct chooser c = {.p = p, .pool = {IN_MACHINE, NULL}};
	unsigned free, for_guests = !!n_guest;

	if (!n_guest && !n_side)
		return 0;
	if (n_guest > p->n_cpus)
		n_guest = p->n_cpus;
	/* With more sidecores than CPUs only the count for the sentence matters. */
	free = settle(&c, n_guest + (n_side < p->n_cpus ? n_side : p->n_cpus), allow_smt);
	if (free < for_guests || n_side > free - for_guests)
		return too_few(&c, n_side, free, for_guests, err);
	if (n_guest > free - n_side)
		n_guest = free - n_side;
	if (p->n_guest)
		take_sidecores(&c, n_side);
	else if (p->n_side)
		take_guests(&c, n_guest);
	else
		take_all(&c, n_guest, n_side);
	return 0;
}
