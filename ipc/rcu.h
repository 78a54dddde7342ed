// SPDX-License-Identifier: BSD-3-Clause
/*
 * The one RCU flavour of the project: liburcu QSBR. Read-side sections cost nothing; every
 * reader thread says when it holds no reference (a sidecore once per turn of its loop) and goes
 * offline while it cannot (a vCPU thread in KVM_RUN, anyone who blocks).
 *
 * A thread that calls rcu_dereference() is between sx_rcu_register() and sx_rcu_unregister().
 */
#ifndef SX_IPC_RCU_H
#define SX_IPC_RCU_H

#include <urcu-qsbr.h>

static inline void sx_rcu_register(void)
{
	rcu_register_thread();
}

static inline void sx_rcu_unregister(void)
{
	rcu_unregister_thread();
}

#endif
