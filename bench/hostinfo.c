// SPDX-License-Identifier: BSD-3-Clause
#include "bench/hostinfo.h"

#include <cpuid.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define SYS_CPU "/sys/devices/system/cpu/"

static FILE *open_below(const char *root, const char *path)
{
	char full[PATH_MAX];

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return NULL;
	return fopen(full, "re");
}

/* The first line of a file without its newline; empty when there is none. */
static void first_line(const char *root, const char *path, char *text, size_t size)
{
	FILE *f = open_below(root, path);

	text[0] = '\0';
	if (!f)
		return;
	if (!fgets(text, (int)size, f))
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	fclose(f);
}

/* The value of the first line "KEY : VALUE" in a file such as /proc/cpuinfo. */
static void keyed_line(const char *root, const char *path, const char *key, char *text, size_t size)
{
	FILE *f = open_below(root, path);
	size_t length = strlen(key), room = 0;
	char *line = NULL;

	text[0] = '\0';
	while (f && !text[0] && getline(&line, &room, f) > 0) {
		const char *value = strchr(line, ':');

		if (strncmp(line, key, length) != 0 || !value)
			continue;
		if (strspn(line + length, " \t") != (size_t)(value - line) - length)
			continue; /* a longer key */
		value += 1 + strspn(value + 1, " \t");
		snprintf(text, size, "%.*s", (int)strcspn(value, "\n"), value);
	}
	free(line);
	if (f)
		fclose(f);
}

/* How many CPUs a list such as "0-3,8" names. */
static unsigned count_list(const char *list)
{
	unsigned count = 0;

	while (*list) {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (end == list)
			return 0;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (last < first)
			return 0;
		count += (unsigned)(last - first) + 1;
		list = *end == ',' ? end + 1 : end;
		if (list == end && *end)
			return 0;
	}
	return count;
}

/* Only one vendor module can drive the processor; it has a directory even when built in. */
static void find_kvm(const char *root, char *name, size_t size)
{
	static const char *const modules[] = {"kvm_intel", "kvm_amd", "kvm_pvm"};
	char path[PATH_MAX];

	name[0] = '\0';
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		snprintf(path, sizeof(path), "%s/sys/module/%s", root, modules[i]);
		if (access(path, F_OK) == 0)
			snprintf(name, size, "%s", modules[i]);
	}
}

/*
 * CPUID.1:ECX[31] is 0 on real processors (AMD APM vol. 3, Fn0000_0001); hypervisors set it and put
 * their signature into EBX, ECX, EDX of leaf 40000000H (Linux, virt/kvm/x86/cpuid.rst).
 */
static void find_hypervisor(char *name, size_t size)
{
	unsigned eax, ebx, ecx, edx;
	char signature[13] = "";

	name[0] = '\0';
	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1u << 31)))
		return;
	__cpuid(0x40000000, eax, ebx, ecx, edx);
	memcpy(signature, &ebx, 4);
	memcpy(signature + 4, &ecx, 4);
	memcpy(signature + 8, &edx, 4);
	for (char *c = signature; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (strncmp(signature, "KVM", 3) == 0)
		signature[3] = '\0';
	snprintf(name, size, "%s", signature[0] ? signature : "unnamed");
}

static void write_date(char *text, size_t size)
{
	time_t now = time(NULL);
	struct tm utc;

	text[0] = '\0';
	if (gmtime_r(&now, &utc))
		strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

void sx_host_read(struct sx_host *host, const char *root)
{
	struct utsname uts;
	char text[512];

	*host = (struct sx_host){.smt = -1};
	keyed_line(root, "/proc/cpuinfo", "model name", host->cpu, sizeof(host->cpu));
	keyed_line(root, "/proc/cpuinfo", "microcode", host->microcode, sizeof(host->microcode));
	keyed_line(root, "/proc/meminfo", "MemTotal", text, sizeof(text));
	host->memory_mib = strtoull(text, NULL, 10) / 1024;

	first_line(root, SYS_CPU "isolated", host->isolated, sizeof(host->isolated));
	if (count_list(host->isolated) == 0) /* some kernels write "(null)" for none */
		host->isolated[0] = '\0';
	first_line(root, SYS_CPU "cpu0/cpufreq/scaling_governor", host->governor,
		   sizeof(host->governor));
	first_line(root, SYS_CPU "online", text, sizeof(text));
	host->cpus = count_list(text);
	first_line(root, SYS_CPU "smt/active", text, sizeof(text));
	if (text[0])
		host->smt = text[0] == '1';

	if (uname(&uts) == 0)
		snprintf(host->kernel, sizeof(host->kernel), "%s", uts.release);
	find_kvm(root, host->kvm, sizeof(host->kvm));
	find_hypervisor(host->hypervisor, sizeof(host->hypervisor));
	write_date(host->date, sizeof(host->date));
	snprintf(host->version, sizeof(host->version), "%s", SX_VERSION);
}

/* Appends to a text that may be full already. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size, const char *fmt,
							 ...)
{
	size_t used = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + used, size - used, fmt, ap);
	va_end(ap);
}

/* "Intel(R) Xeon(R) Gold" without the marks. */
static void append_model(char *text, size_t size, const char *model)
{
	while (*model) {
		size_t plain = strcspn(model, "(");

		append(text, size, "%.*s", (int)plain, model);
		model += plain;
		if (strncmp(model, "(R)", 3) == 0)
			model += 3;
		else if (strncmp(model, "(TM)", 4) == 0)
			model += 4;
		else if (*model)
			append(text, size, "%c", *model++);
	}
}

void sx_host_text(const struct sx_host *host, char *text, size_t size)
{
	text[0] = '\0';
	append_model(text, size, host->cpu[0] ? host->cpu : "unknown processor");
	append(text, size, ", %u CPUs", host->cpus);
	if (host->isolated[0])
		append(text, size, " (isolated: %s)", host->isolated);
	if (host->memory_mib)
		append(text, size, ", %.1f GiB", (double)host->memory_mib / 1024);
	append(text, size, ", Linux %s", host->kernel);
	if (host->kvm[0])
		append(text, size, ", %s", host->kvm);
	if (host->hypervisor[0])
		append(text, size, ", itself under %s", host->hypervisor);
}
