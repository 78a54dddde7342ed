// SPDX-License-Identifier: BSD-3-Clause
/*
 * DPDK's environment (EAL), of which a process has one: started with the first port, never ended.
 *
 * It starts without hugepages and without files. It binds its caller to the core that it calls its
 * own and would probe every device of the machine; neither is wanted here.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_pci.h>

#include "sidecore/backend/dpdk/port.h"

#define MEMORY_MIB    "512" /* of addresses; what is not used is not taken */
#define ENOUGH_PAGES  64    /* of 2 MiB */
#define NO_DEVICE     "ffff:ff:1f.7"
#define MAX_ARGUMENTS 16

/* ---- what it says ---- */

/*
 * DPDK logs from the threads that call it and from its own. Nothing of that belongs on the guest's
 * console; the first error of a thread that opens a port belongs in its sentence.
 */
static _Thread_local char words[200];

static ssize_t hear(void *cookie, const char *text, size_t len)
{
	(void)cookie;
	if (!words[0] && rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR)
		snprintf(words, sizeof(words), "%.*s", (int)strcspn(text, "\n"), text);
	return (ssize_t)len;
}

void sx_eal_listen(void)
{
	words[0] = '\0';
}

const char *sx_eal_words(void)
{
	return words;
}

static int divert_log(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = hear});

	if (!f)
		return -ENOMEM;
	setvbuf(f, NULL, _IOLBF, 512);
	return rte_openlog_stream(f) < 0 ? -EINVAL : 0;
}

/* ---- how it is started ---- */

/* A device that is not made up by DPDK has to reach its memory, and hugepages make that cheap. */
static bool wants_hugepages(const char *devargs)
{
	char name[32];
	struct rte_pci_addr address;
	unsigned pages = 0;
	FILE *f;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(devargs, ","), devargs);
	if (rte_pci_addr_parse(name, &address) < 0)
		return false;
	f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	if (!f)
		return false;
	if (fscanf(f, "%u", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages >= ENOUGH_PAGES;
}

/* The first CPU that the caller may use. */
static int first_cpu(const cpu_set_t *set)
{
	int cpu = 0;

	while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, set))
		cpu++;
	return cpu;
}

static int init(const char *devargs, int cpu)
{
	char prefix[48], lcores[32];
	const char *const common[] = {
		"splitx", "--no-telemetry", prefix, lcores,
		"-a",     NO_DEVICE, /* an allow list keeps it from all that is not asked for */
	};
	const char *const huge[] = {"--in-memory"};
	const char *const small[] = {"--no-huge", "--no-shconf", "-m", MEMORY_MIB,
				     "--iova-mode=va"};
	const bool pages = wants_hugepages(devargs);
	const char *argv[MAX_ARGUMENTS] = {0};
	int argc = sizeof(common) / sizeof(common[0]);

	snprintf(prefix, sizeof(prefix), "--file-prefix=splitx-%d", (int)getpid());
	snprintf(lcores, sizeof(lcores), "--lcores=0@%d", cpu);
	memcpy(argv, common, sizeof(common));
	memcpy(&argv[argc], pages ? huge : small, pages ? sizeof(huge) : sizeof(small));
	argc += (int)(pages ? sizeof(huge) : sizeof(small)) / (int)sizeof(argv[0]);
	return rte_eal_init(argc, (char **)(uintptr_t)argv) < 0 ? -rte_errno : 0;
}

/* The folder that it made for files which it then has no use for; and the one above, if empty. */
static void remove_folder(void)
{
	char path[256], *slash;

	snprintf(path, sizeof(path), "%s", rte_eal_get_runtime_dir());
	slash = strrchr(path, '/');
	if (rmdir(path) == 0 && slash) {
		*slash = '\0';
		(void)rmdir(path);
	}
}

int sx_eal_start(const char *devargs, struct sx_error *err)
{
	static bool started; /* a process has one EAL, and it cannot be asked */
	cpu_set_t set;
	int rc;

	if (started)
		return 0;
	sx_eal_listen();
	rc = -pthread_getaffinity_np(pthread_self(), sizeof(set), &set);
	if (rc == 0 && rte_log_get_stream() == stderr)
		rc = divert_log();
	if (rc < 0)
		return sx_fail(err, rc, "DPDK cannot be started: %s", strerror(-rc));
	rc = init(devargs, first_cpu(&set));
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	if (rc < 0)
		return sx_fail(err, -ENODEV, "DPDK cannot be started: %s",
			       words[0] ? words : strerror(-rc));
	started = true;
	remove_folder();
	return 0;
}
