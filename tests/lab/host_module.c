// SPDX-License-Identifier: BSD-3-Clause
/*
 * The host module, used in an emulated host; tests/lab/module_cases.sh says when.
 *
 *   host_module absent     it is not loaded
 *   host_module exits      what comes out of a marked vCPU, and that its neighbour is left alone
 *   host_module refusals   what cannot be marked
 *   host_module once       one round of a marked vCPU
 *   host_module storm      marks that come and go while the vCPU runs
 *   host_module hold       a marked vCPU that runs until the process is killed
 *   host_module run        one that is not marked, until SIGTERM
 *
 * Tells its cases as the other tests do; the exit status is that of the program only.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "nested/hostmod.h"
#include "tests/lab/module_guest.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define CR0_LOW 0xeu /* what LMSW sets; it does not clear bit 0 */

static void holds(const char *name, bool it)
{
	printf("%s - %s\n", it ? "ok" : "not ok", name);
	fflush(stdout);
}

static int mark(const struct guest *g, uint32_t kinds)
{
	struct sx_error err = {0};
	int fd = sx_hostmod_mark(g->vcpu, kinds, &err);

	if (fd < 0)
		die(err.text, fd);
	return fd;
}

/* --- events ---------------------------------------------------------------------------------- */

/* Where the guest is: at a port, or with this bit at an exit of the module, whose kind it is. */
#define OUT 0x80000000u

static const uint32_t whole_round[] = {
	OUT | SX_HOST_CPUID,     AT_CPUID,  OUT | SX_HOST_CR0,       AT_CR0,
	OUT | SX_HOST_CR0,       AT_LMSW,   OUT | SX_HOST_CR4,       AT_CR4,
	OUT | SX_HOST_XSETBV,    AT_XCR0,   OUT | SX_HOST_HYPERCALL, AT_VMMCALL,
	OUT | SX_HOST_HYPERCALL, AT_VMCALL,
};

/* Run the guest to its next event. */
static uint32_t next(struct guest *g, struct sx_hostmod_exit *e)
{
	int rc;

	*e = (struct sx_hostmod_exit){0};
	kvm(g->vcpu, "KVM_RUN", KVM_RUN, NULL);
	if (sx_hostmod_is_exit(g->run)) {
		rc = sx_hostmod_decode(g->run, e);
		if (rc < 0)
			die("an exit cannot be decoded", rc);
		return OUT | e->kind;
	}
	if (g->run->exit_reason != KVM_EXIT_IO) {
		fprintf(stderr, "host_module: exit reason %u\n", g->run->exit_reason);
		exit(1);
	}
	return g->run->io.port;
}

/* The next round has these events, of those of a whole one: all ports, and exits of @kinds. */
static bool next_event_is(uint32_t event, unsigned *at, uint32_t kinds)
{
	uint32_t expected;

	do {
		expected = whole_round[*at];
		*at = (*at + 1) % COUNT(whole_round);
	} while ((expected & OUT) && !(expected & kinds));
	return event == expected;
}

/* --- a hypervisor that does what it is asked, or not ------------------------------------------ */

#define ANSWER UINT64_C(0x11111111) /* to CPUID and hypercalls: times 1, 2, 3, 4 */

static void answer_cr(const struct guest *g, const struct sx_hostmod_exit *e)
{
	struct kvm_sregs sregs;

	kvm(g->vcpu, "KVM_GET_SREGS", KVM_GET_SREGS, &sregs);
	if (e->kind == SX_HOST_CR4)
		sregs.cr4 = e->cr.value;
	else if (e->cr.access == SX_HOSTMOD_LMSW)
		sregs.cr0 = (sregs.cr0 & ~(uint64_t)CR0_LOW) | e->cr.value;
	else
		sregs.cr0 = e->cr.value;
	kvm(g->vcpu, "KVM_SET_SREGS", KVM_SET_SREGS, &sregs);
}

static void answer_xsetbv(const struct guest *g, const struct sx_hostmod_exit *e)
{
	struct kvm_xcrs xcrs = {.nr_xcrs = 1};

	xcrs.xcrs[0].xcr = e->xcr.index;
	xcrs.xcrs[0].value = e->xcr.value;
	kvm(g->vcpu, "KVM_SET_XCRS", KVM_SET_XCRS, &xcrs);
}

/* Step over the instruction; do its work if @obliging. */
static void answer(const struct guest *g, const struct sx_hostmod_exit *e, bool obliging)
{
	struct kvm_regs regs;

	kvm(g->vcpu, "KVM_GET_REGS", KVM_GET_REGS, &regs);
	regs.rip += e->length;
	if (e->kind == SX_HOST_CPUID) {
		regs.rax = ANSWER;
		regs.rbx = 2 * ANSWER;
		regs.rcx = 3 * ANSWER;
		regs.rdx = 4 * ANSWER;
	} else if (e->kind == SX_HOST_HYPERCALL) {
		regs.rax = ANSWER;
	} else if (obliging && e->kind == SX_HOST_XSETBV) {
		answer_xsetbv(g, e);
	} else if (obliging) {
		answer_cr(g, e);
	}
	kvm(g->vcpu, "KVM_SET_REGS", KVM_SET_REGS, &regs);
}

/* --- what the guest sees ---------------------------------------------------------------------- */

static bool saw_answer(const struct kvm_regs *r)
{
	return r->rax == ANSWER && r->rbx == 2 * ANSWER && r->rcx == 3 * ANSWER &&
	       r->rdx == 4 * ANSWER;
}

/*
 * At a port: what was written is what is read, or, where the hypervisor does nothing, it is not.
 * CPUID and hypercalls are answered by the hypervisor if their kind comes out, else by KVM, to
 * which neither leaf nor call mean anything.
 */
static bool saw_right(const struct guest *g, uint32_t port, uint32_t kinds, bool obliging)
{
	const uint64_t unknown_call = (uint64_t)-1000; /* KVM_ENOSYS */
	bool done = obliging;
	struct kvm_regs r;

	kvm(g->vcpu, "KVM_GET_REGS", KVM_GET_REGS, &r);
	switch (port) {
	case AT_CPUID:
		return saw_answer(&r) == !!(kinds & SX_HOST_CPUID);
	case AT_VMMCALL:
	case AT_VMCALL:
		return r.rax == (kinds & SX_HOST_HYPERCALL ? ANSWER : unknown_call);
	case AT_CR0:
	case AT_LMSW:
		done |= !(kinds & SX_HOST_CR0);
		break;
	case AT_CR4:
		done |= !(kinds & SX_HOST_CR4);
		break;
	default:
		/* QEMU's TCG does not let KVM know, and what KVM does not know a preemption undoes.
		 */
		if (!(kinds & SX_HOST_XSETBV))
			return true;
		break;
	}
	return (r.rax == r.rbx) == done;
}

/* The operands are those of the instruction that the guest is at. */
static bool right_operands(const struct guest *g, const struct sx_hostmod_exit *e, uint32_t port)
{
	struct kvm_regs r;

	kvm(g->vcpu, "KVM_GET_REGS", KVM_GET_REGS, &r);
	switch (port) {
	case AT_CPUID:
		return e->length == 2 && e->cpuid.leaf == LEAF && e->cpuid.subleaf == SUBLEAF;
	case AT_CR0:
		return e->length == 3 && e->cr.access == SX_HOSTMOD_MOV && e->cr.gpr == 0 &&
		       e->cr.value == r.rax;
	case AT_LMSW:
		return e->length == 3 && e->cr.access == SX_HOSTMOD_LMSW && !e->cr.memory &&
		       e->cr.value == (r.rax & 0xf);
	case AT_CR4:
		return e->length == 4 && e->cr.access == SX_HOSTMOD_MOV && e->cr.gpr == 9 &&
		       e->cr.value == r.r9;
	case AT_XCR0:
		return e->length == 3 && e->xcr.index == 0 && e->xcr.value == r.rsi;
	case AT_VMMCALL:
	case AT_VMCALL:
		return e->length == 3 && e->hypercall.vmmcall == (port == AT_VMMCALL) &&
		       e->hypercall.number == (port == AT_VMMCALL ? 0x5678 : 0x5679) &&
		       e->hypercall.arguments[0] == r.rbx && e->hypercall.arguments[1] == 2 &&
		       e->hypercall.arguments[2] == 3 && e->hypercall.arguments[3] == 4;
	default:
		return false;
	}
}

struct seen {
	unsigned order, operands, results; /* that were wrong */
};

/* One round. @kinds come out, and the guest notices nothing else. */
static struct seen go_round(struct guest *g, uint32_t kinds, bool obliging)
{
	struct sx_hostmod_exit e;
	struct seen wrong = {0};
	unsigned at = 0;
	uint32_t event;

	do {
		event = next(g, &e);
		if (!next_event_is(event, &at, kinds)) {
			fprintf(stderr, "host_module: event %x before place %u\n", event, at);
			wrong.order++;
		}
		if (event & OUT) {
			wrong.operands += !right_operands(g, &e, whole_round[at]);
			answer(g, &e, obliging);
		} else {
			wrong.results += !saw_right(g, event, kinds, obliging);
		}
	} while (event != AT_VMCALL);
	return wrong;
}

static void tell_round(const char *what, struct seen wrong)
{
	char name[160];

	snprintf(name, sizeof(name), "%s: each comes out once, in order", what);
	holds(name, wrong.order == 0);
	snprintf(name, sizeof(name), "%s: with its operands", what);
	holds(name, wrong.operands == 0);
	snprintf(name, sizeof(name), "%s: the guest sees what it should", what);
	holds(name, wrong.results == 0);
}

/* The other vendor's hypercall: KVM has written its own over it, if the mark did not stop it. */
static void restore_code(const struct guest *g)
{
	memcpy(g->memory + CODE, guest_code, (size_t)(guest_code_end - guest_code));
}

/*
 * SX_HOST_ALL, less XSETBV where the processor does not let KVM intercept it, which QEMU's TCG does
 * not: then KVM does not know of the new value.
 */
static uint32_t all_kinds(struct guest *g)
{
	struct sx_hostmod_exit e;
	struct kvm_xcrs xcrs;

	while (next(g, &e) != AT_XCR0)
		;
	kvm(g->vcpu, "KVM_GET_XCRS", KVM_GET_XCRS, &xcrs);
	while (next(g, &e) != AT_VMCALL)
		;
	restore_code(g);
	if (xcrs.xcrs[0].value == 3)
		return SX_HOST_ALL;
	return SX_HOST_ALL & ~SX_HOST_XSETBV;
}

/* --- cases ----------------------------------------------------------------------------------- */

static void absent(void)
{
	struct sx_error err = {0};
	struct guest g;

	create(&g);
	holds("without the module no vCPU is marked",
	      sx_hostmod_mark(g.vcpu, SX_HOST_ALL, &err) == -ENOENT && err.text[0]);
	tell_round("without the module nothing", go_round(&g, 0, true));
	destroy(&g);
}

/* A vCPU that is not marked, on a thread of its own. */
struct neighbour {
	struct guest g;
	pthread_t thread;
	bool stop;
	unsigned rounds;
	struct seen wrong;
};

static void *run_neighbour(void *arg)
{
	struct neighbour *n = arg;

	while (!__atomic_load_n(&n->stop, __ATOMIC_RELAXED)) {
		struct seen wrong = go_round(&n->g, 0, true);

		n->wrong.order += wrong.order;
		n->wrong.results += wrong.results;
		n->rounds++;
	}
	return NULL;
}

static void start_neighbour(struct neighbour *n)
{
	*n = (struct neighbour){0};
	create(&n->g);
	if (pthread_create(&n->thread, NULL, run_neighbour, n))
		die("pthread_create", -EAGAIN);
}

static void end_neighbour(struct neighbour *n)
{
	__atomic_store_n(&n->stop, true, __ATOMIC_RELAXED);
	pthread_join(n->thread, NULL);
	destroy(&n->g);
}

static void comes_again(struct guest *g)
{
	struct sx_hostmod_exit e;
	struct kvm_regs first, second;

	next(g, &e);
	kvm(g->vcpu, "KVM_GET_REGS", KVM_GET_REGS, &first);
	holds("who does not step RIP gets the exit again", next(g, &e) == (OUT | SX_HOST_CPUID));
	kvm(g->vcpu, "KVM_GET_REGS", KVM_GET_REGS, &second);
	holds("and the registers are as they were", memcmp(&first, &second, sizeof(first)) == 0);
}

static void exits(void)
{
	static const uint32_t single[] = {SX_HOST_CPUID, SX_HOST_CR0, SX_HOST_CR4, SX_HOST_XSETBV,
					  SX_HOST_HYPERCALL};
	struct seen wrong = {0}, w;
	struct neighbour n;
	struct guest g;
	uint32_t all;
	int fd;

	start_neighbour(&n);
	create(&g);
	all = all_kinds(&g);
	if (!(all & SX_HOST_XSETBV))
		puts("skip - XSETBV: this processor does not let KVM intercept it");
	fd = mark(&g, SX_HOST_ALL);
	tell_round("all kinds", go_round(&g, all, true));
	tell_round("all kinds, refused", go_round(&g, all, false));
	comes_again(&g);
	close(fd);
	tell_round("closed: nothing", go_round(&g, 0, true));
	for (unsigned i = 0; i < COUNT(single); i++) {
		restore_code(&g);
		fd = mark(&g, single[i]);
		w = go_round(&g, single[i] & all, true);
		close(fd);
		wrong.order += w.order;
		wrong.operands += w.operands;
		wrong.results += w.results;
	}
	tell_round("each kind by itself", wrong);
	destroy(&g);
	end_neighbour(&n);
	holds("an unmarked vCPU ran beside it", n.rounds > 0);
	tell_round("and its instructions are KVM's", n.wrong);
}

static void refuse(const char *name, int fd, struct sx_host_mark m, int code)
{
	int rc = sx_ioctl(fd, SX_HOST_MARK, &m);

	if (rc != code)
		fprintf(stderr, "host_module: %s: %d\n", name, rc);
	holds(name, rc == code);
}

static void refuse_files(int fd, const struct guest *g)
{
	struct sx_host_mark m = {.version = SX_WIRE_VERSION, .kinds = SX_HOST_ALL};
	int other;

	m.vcpu = -1;
	refuse("refused: no descriptor", fd, m, -EBADF);
	m.vcpu = g->kvm;
	refuse("refused: /dev/kvm", fd, m, -ENOTTY);
	m.vcpu = g->vm;
	refuse("refused: a VM", fd, m, -ENOTTY);
	m.vcpu = kvm(g->vcpu, "KVM_GET_STATS_FD", KVM_GET_STATS_FD, NULL);
	refuse("refused: a vCPU's statistics", fd, m, -ENOTTY);
	close(m.vcpu);
	m.vcpu = fd;
	refuse("refused: the module's own file", fd, m, -ENOTTY);
	m.vcpu = memfd_create("kvm-vcpu:0", MFD_CLOEXEC);
	refuse("refused: a memfd with a vCPU's name", fd, m, -ENOTTY);
	close(m.vcpu);
	m.vcpu = other = open("/tmp/kvm-vcpu:0", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	refuse("refused: a file with a vCPU's name", fd, m, -ENOTTY);
	close(other);
}

static void refusals(void)
{
	int fd = open(SX_HOST_DEVICE, O_RDWR | O_CLOEXEC);
	int second = open(SX_HOST_DEVICE, O_RDWR | O_CLOEXEC);
	struct sx_host_mark good, m;
	struct guest g, other;

	create(&g);
	create(&other);
	good = (struct sx_host_mark){
		.version = SX_WIRE_VERSION, .vcpu = g.vcpu, .kinds = SX_HOST_CPUID};
	m = good, m.version++;
	refuse("refused: another version", fd, m, -EPROTO);
	m = good, m.kinds = 0;
	refuse("refused: no kind", fd, m, -EINVAL);
	m = good, m.kinds = SX_HOST_ALL + 1;
	refuse("refused: an unknown kind", fd, m, -EINVAL);
	m = good, m.zero = 1;
	refuse("refused: what is reserved", fd, m, -EINVAL);
	holds("refused: another request", sx_ioctl(fd, SX_HOST_MARK + 1, &m) == -ENOTTY);
	holds("refused: an address that is not there",
	      sx_ioctl(fd, SX_HOST_MARK, (void *)8) == -EFAULT);
	refuse_files(fd, &g);
	tell_round("after all that nothing", go_round(&g, 0, true));
	refuse("a mark", fd, good, 0);
	refuse("refused: the same again", fd, good, -EBUSY);
	refuse("refused: the same vCPU by another file", second, good, -EBUSY);
	m = good, m.vcpu = other.vcpu;
	refuse("refused: another vCPU by the same file", fd, m, -EBUSY);
	refuse("another vCPU by another file", second, m, 0);
	tell_round("still", go_round(&g, SX_HOST_CPUID, true));
	destroy(&other);
	close(second); /* only now is that VM gone */
	close(fd);
	destroy(&g);
}

/* Marks come and go while it runs; each instruction is carried out once by one of the two. */
static void *run_storm(void *arg)
{
	struct neighbour *n = arg;
	struct sx_hostmod_exit e;
	struct kvm_regs r;
	uint32_t event;

	while (!__atomic_load_n(&n->stop, __ATOMIC_RELAXED)) {
		event = next(&n->g, &e);
		if (event & OUT) {
			answer(&n->g, &e, true);
			n->wrong.operands++; /* here: how many came out */
			continue;
		}
		kvm(n->g.vcpu, "KVM_GET_REGS", KVM_GET_REGS, &r);
		if (event >= AT_CR0 && event <= AT_CR4)
			n->wrong.results += r.rax != r.rbx;
		__atomic_store_n(&n->rounds, n->rounds + (event == AT_VMCALL), __ATOMIC_RELAXED);
	}
	return NULL;
}

#define STORM 31 /* each set of kinds */

static void mark_for_a_round(const struct neighbour *n, uint32_t kinds)
{
	int fd = mark(&n->g, kinds);
	unsigned rounds = __atomic_load_n(&n->rounds, __ATOMIC_RELAXED);

	while (__atomic_load_n(&n->rounds, __ATOMIC_RELAXED) - rounds < 2)
		usleep(1000);
	close(fd);
}

static void storm(void)
{
	struct neighbour n = {0};
	struct guest other; /* whose mark keeps KVM hooked, for half of the time */
	int fd;

	create(&other);
	create(&n.g);
	if (pthread_create(&n.thread, NULL, run_storm, &n))
		die("pthread_create", -EAGAIN);
	fd = mark(&other, SX_HOST_ALL);
	for (unsigned i = 0; i < STORM; i++)
		mark_for_a_round(&n, i % SX_HOST_ALL + 1);
	close(fd);
	for (unsigned i = 0; i < 3; i++)
		mark_for_a_round(&n, SX_HOST_ALL);
	end_neighbour(&n);
	destroy(&other);
	printf("# %u rounds, %u exits of the module\n", n.rounds, n.wrong.operands);
	holds("marks come and go while the vCPU runs", n.rounds > 0 && n.wrong.operands > 0);
	holds("and no write to a control register is lost", n.wrong.results == 0);
}

static void once(void)
{
	struct guest g;
	uint32_t all;
	int fd;

	create(&g);
	all = all_kinds(&g);
	fd = mark(&g, SX_HOST_ALL);
	tell_round("once", go_round(&g, all, true));
	close(fd);
	destroy(&g);
}

static void hold(void)
{
	struct sx_hostmod_exit e;
	struct guest g;

	create(&g);
	mark(&g, SX_HOST_ALL);
	puts("held");
	fflush(stdout);
	for (;;)
		if (next(&g, &e) & OUT)
			answer(&g, &e, true);
}

static void run(void)
{
	struct neighbour n;
	sigset_t term;
	int signal;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	start_neighbour(&n);
	puts("running");
	fflush(stdout);
	sigwait(&term, &signal);
	end_neighbour(&n);
	holds("a vCPU ran while the module came and went", n.rounds > 0);
	tell_round("and of it nothing", n.wrong);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {{"absent", absent}, {"exits", exits}, {"refusals", refusals},
		     {"once", once},     {"storm", storm}, {"hold", hold},
		     {"run", run}};

	for (unsigned i = 0; argc == 2 && i < COUNT(cases); i++) {
		if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			return 0;
		}
	}
	return 2;
}
