// SPDX-License-Identifier: BSD-3-Clause
/* KVM held as it is while at least one VM of each kind exists. */
#ifndef SX_LAB_GUEST_HOLD_H
#define SX_LAB_GUEST_HOLD_H

/*
 * Make two VMs that never run and stay until the caller ends; @kvm is /dev/kvm.
 *
 * KVM counts VMs and vCPUs in static keys: with the first and the last of a kind the kernel
 * patches its scheduler and KVM's own code. QEMU's TCG can lose such a write for a core that
 * translates the code just then, and the core hangs (docs/lab.md, "Quirks"). With these two there
 * is no first and no last, however often the tests start and end guests.
 *
 * Returns 0 or a negative errno.
 */
int sx_hold_kvm(int kvm);

#endif
