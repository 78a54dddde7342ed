// SPDX-License-Identifier: BSD-3-Clause
/*
 * VMs come and go while other cores switch tasks; tests/lab/test_lab.sh runs it.
 *
 *   storm COUNT
 *
 * With the first and the last VM the kernel patches its scheduler, which an emulator can get wrong
 * (docs/lab.md, "Quirks"); in a host that holds VMs there is no first and no last. Exits with 0.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SWITCHERS 3
#define PERIOD_US 50

static void *switch_tasks(void *arg)
{
	(void)arg;
	while (usleep(PERIOD_US) == 0)
		;
	return NULL;
}

int main(int argc, char **argv)
{
	long count = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	pthread_t thread;

	for (int i = 0; i < SWITCHERS; i++)
		if (pthread_create(&thread, NULL, switch_tasks, NULL) != 0)
			return 1;
	for (long i = 0; i < count; i++) {
		int vm = ioctl(kvm, KVM_CREATE_VM, 0);

		if (vm < 0) {
			perror("storm: KVM_CREATE_VM");
			return 1;
		}
		close(vm);
	}
	printf("storm: %ld VMs\n", count);
	return 0;
}
