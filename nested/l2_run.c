// SPDX-License-Identifier: BSD-3-Clause
/* L2 runs: from a good entry to the exit that L1 has to know of. */
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>

#include "nested/l2_fault.h"
#include "nested/nested_internal.h"

/* ---- being called away ---- */

static void lend(struct sx_l1 *l1, struct kvm_run *run)
{
	pthread_mutex_lock(&l1->run_lock);
	l1->running = run;
	l1->running_on = pthread_self();
	pthread_mutex_unlock(&l1->run_lock);
	if (l1->nested->place != SX_NESTED_PARALLEL)
		sx_vcpu_lend(&l1->nested->config.vcpu[l1->index], run);
}

void sx_l2_interrupt(struct sx_l1 *l1)
{
	pthread_mutex_lock(&l1->run_lock);
	if (l1->running)
		sx_vcpu_interrupt(l1->running, l1->running_on);
	pthread_mutex_unlock(&l1->run_lock);
}

/* Does the thread that runs L2 have to end? */
static bool must_stop(const struct sx_l1 *l1)
{
	if (l1->nested->place != SX_NESTED_PARALLEL)
		return sx_vcpu_stopping(&l1->nested->config.vcpu[l1->index]);
	/* Pairs with the release in stop_core(). */
	return sx_load_acquire(&l1->stop) != 0;
}

/* ---- what comes before L2's next instruction ---- */

static void ask_for_window(const struct sx_l1 *l1, struct sx_l2_vcpu *v)
{
	v->run->request_interrupt_window =
		!!(sx_vmcs12_get(&l1->vmx.v12, SX_VMCS_CPU_CONTROLS) & SX_CPU_INTR_WINDOW);
}

/*
 * L2 stands before an instruction that exits. What KVM has not stopped for comes first: it emulates
 * many instructions without looking for windows, and MOV to CR8.
 */
static void pending_first(struct sx_l1 *l1, struct sx_vmx_exit *exit)
{
	struct sx_vmx_exit first = {0};

	if (!(exit->idt_info & SX_INTR_VALID) && exit->reason != SX_VMEXIT_TRIPLE_FAULT &&
	    sx_vmx_pending(&l1->vmx, &l1->state, &first))
		*exit = first;
}

/*
 * A KVM that delivers events in software gives up what it cannot deliver for a triple fault, and
 * may be interrupted before it says so. L2 then stands where it stood, with the event to come.
 */
static void restore_event(struct sx_l1 *l1, const struct sx_l2_vcpu *v,
			  const struct sx_vmx_event *event)
{
	if (l1->state.cpu.rip == v->loaded.rip &&
	    l1->state.cpu.gpr[SX_RSP] == v->loaded.gpr[SX_RSP])
		l1->state.event = *event;
}

/* Enter L2, which is active or becomes so by the event that it takes. As step(). */
static int run(struct sx_l1 *l1, struct sx_l2_vcpu *v, bool delivering, struct sx_vmx_exit *exit)
{
	const struct sx_vmx_event event = l1->state.event;
	enum sx_l2_next next;
	int rc;

	rc = sx_l2_time_arm(l1, delivering && sx_l2_exits_after_delivery(l1));
	if (rc < 0)
		return rc;
	sx_l2_load_tpr(l1, v);
	sx_l2_vcpu_load(v, &l1->state);
	ask_for_window(l1, v);
	sx_count(&l1->l2_runs, 1);
	rc = sx_l2_vcpu_run(v);
	/* KVM on SVM resets a vCPU that shuts down: what it had before is nearer to the truth,
	 * and the event that perhaps could not be delivered is still there. */
	if (rc == 0 && v->run->exit_reason == KVM_EXIT_SHUTDOWN)
		sx_l2_vcpu_forget(v);
	else
		sx_l2_vcpu_save(v, &l1->state);
	sx_l2_save_tpr(l1, v);
	if (rc == -EINTR && sx_l2_vcpu_shuts_down(v)) {
		restore_event(l1, v, &event);
		next = sx_l2_exit_shutdown(l1, exit);
	} else {
		next = sx_l2_exit(l1, v, rc, exit);
	}
	if (next == SX_L2_LEAVES)
		pending_first(l1, exit);
	return next == SX_L2_BROKEN ? -EIO : (int)next;
}

/* What comes next for L2: SX_L2_AGAIN, SX_L2_LEAVES, or a negative errno. */
static int step(struct sx_l1 *l1, struct sx_l2_vcpu *v, struct sx_vmx_exit *exit)
{
	bool delivering;

	/* Before what it is about is looked at: a request after that finds it 0 and is kept. */
	sx_store_relaxed(&v->run->immediate_exit, (uint8_t)0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* with the lock in sx_l2_interrupt() */
	if (must_stop(l1))
		return sx_l2_stopped(l1, exit) ? SX_L2_LEAVES : -ESHUTDOWN;
	sx_l2_time_update(l1);
	/* An event's delivery comes first: 27.6. */
	delivering = l1->state.event.info & SX_INTR_VALID;
	if (!delivering &&
	    (sx_vmx_pending(&l1->vmx, &l1->state, exit) || sx_l2_interrupted(l1, exit)))
		return SX_L2_LEAVES;
	if (l1->state.cpu.activity == SX_ACTIVITY_HLT && !(l1->state.event.info & SX_INTR_VALID)) {
		sx_l2_halt(l1);
		return SX_L2_AGAIN;
	}
	return run(l1, v, delivering, exit);
}

/* Of what the line carries, these are L2's own: they have fields in the VMCS. */
static void put_fields(const struct sx_vmx_cpu *cpu, struct sx_line_cpu *carried)
{
	carried->dr7 = cpu->dr7;
	carried->pat = cpu->pat;
	carried->sysenter_cs = cpu->sysenter_cs;
	carried->sysenter_esp = cpu->sysenter_esp;
	carried->sysenter_eip = cpu->sysenter_eip;
}

static void take_fields(const struct sx_line_cpu *carried, struct sx_vmx_cpu *cpu)
{
	cpu->dr7 = carried->dr7;
	cpu->pat = carried->pat;
	cpu->sysenter_cs = carried->sysenter_cs;
	cpu->sysenter_esp = carried->sysenter_esp;
	cpu->sysenter_eip = carried->sysenter_eip;
}

/*
 * Not again for tables that are mapped: those that L2 adds come by its own writes. An event needs
 * its gate and its stack as well.
 */
static void map_tables(struct sx_l1 *l1, struct sx_l2 *l2)
{
	pthread_mutex_lock(&l2->lock);
	if (l1->tables_of != l2 || l1->tables_cr3 != l1->state.cpu.cr3 ||
	    l1->tables_changes != l2->changes || (l1->state.event.info & SX_INTR_VALID)) {
		sx_l2_map_tables(&l1->vmx, l2->vm, &l1->state);
		l1->tables_of = l2;
		l1->tables_cr3 = l1->state.cpu.cr3;
		l1->tables_changes = l2->changes;
	}
	pthread_mutex_unlock(&l2->lock);
}

static int arrive(struct sx_l1 *l1, struct sx_l2_vcpu *v)
{
	int rc = sx_l2_vcpu_set_tsc(v, l1->tsc_offset + l1->state.tsc_offset);

	put_fields(&l1->state.cpu, &l1->carried);
	if (rc == 0)
		rc = sx_l2_vcpu_load_live(v, l1->live, &l1->carried,
					  (const uint8_t *)l1->line + SX_LINE_XSAVE);
	return rc;
}

static int depart(struct sx_l1 *l1, struct sx_l2_vcpu *v)
{
	int rc;

	if (v->lost)
		return 0; /* L1 keeps what it gave */
	rc = sx_l2_vcpu_save_live(v, l1->live, &l1->carried, (uint8_t *)l1->line + SX_LINE_XSAVE);

	take_fields(&l1->carried, &l1->state.cpu);
	return rc;
}

/* On a vCPU of KVM: SX_L2_LEAVES, or a negative errno. */
static int run_on_kvm(struct sx_l1 *l1, struct sx_vmx_exit *exit, struct sx_error *err)
{
	uint64_t root = l1->state.eptp ? sx_ept_root(l1->state.eptp) : SX_VMX_NONE;
	struct sx_l2_vcpu *v;
	int rc;

	l1->l2 = sx_l2_get(l1, root, &v, err);
	if (!l1->l2)
		return -EIO;
	l1->l2->eptp = l1->state.eptp;
	map_tables(l1, l1->l2);
	lend(l1, v->run);
	rc = sx_l2_filter(l1, l1->l2);
	if (rc == 0)
		rc = arrive(l1, v);
	sx_l2_time_begin(l1);
	sx_l2_replay(l1);
	while (rc == 0) {
		*exit = (struct sx_vmx_exit){0};
		rc = step(l1, v, exit);
	}
	lend(l1, NULL);
	sx_l2_time_update(l1);
	if (rc == SX_L2_LEAVES) {
		int saved = depart(l1, v);

		rc = saved < 0 ? saved : rc;
	}
	if (rc < 0 && rc != -ESHUTDOWN)
		sx_fail(err, rc,
			"L2 of vCPU %u cannot be run on: %s (KVM exit reason %u at rip 0x%" PRIx64
			"); L1 was told that its entry is refused",
			l1->index, strerror(-rc), v->run->exit_reason, l1->state.cpu.rip);
	sx_l2_put(l1, l1->l2);
	return rc;
}

int sx_l2_run(struct sx_l1 *l1, struct sx_vmx_exit *exit, struct sx_error *err)
{
	struct sx_l2_guest *g = sx_l2_guest_get(l1);
	enum sx_aside came_back;
	int rc = SX_L2_LEAVES;

	if (!g)
		return sx_fail(err, -EBUSY, "L1 runs more L2 vCPUs at a time than it has vCPUs");
	l1->guest = g;
	came_back = sx_l2_aside_close(&g->aside, &l1->state.cpu);
	sx_l2_catch_begin(l1, g, came_back);
	if (!sx_l2_learn(l1, g, came_back, exit)) {
		rc = run_on_kvm(l1, exit, err);
		if (rc == SX_L2_LEAVES)
			sx_l2_catch_up(l1, g, exit);
	}
	sx_l2_guest_put(l1, g);
	return rc < 0 ? rc : 0;
}
