// SPDX-License-Identifier: BSD-3-Clause
#include <stdarg.h>

#include "tests/differential/report.h"

/* Text goes to the machine, or into a name. */
struct sink {
	char *at, *end; /* NULL: the machine */
};

static void put(struct sink *to, char c)
{
	if (!to->at)
		diff_put(c);
	else if (to->at < to->end)
		*to->at++ = c;
}

static void put_number(struct sink *to, uint64_t value, unsigned base)
{
	if (value >= base)
		put_number(to, value / base, base);
	put(to, "0123456789abcdef"[value % base]);
}

static void format_to(struct sink *to, const char *format, va_list args)
{
	for (; *format; format++) {
		if (*format != '%') {
			put(to, *format);
			continue;
		}
		format++;
		if (*format == 's')
			for (const char *text = va_arg(args, const char *); *text; text++)
				put(to, *text);
		else if (*format == 'u')
			put_number(to, va_arg(args, unsigned), 10);
		else
			put_number(to, va_arg(args, uint64_t), 16);
	}
}

void diff_say(const char *format, ...)
{
	struct sink to = {0};
	va_list args;

	va_start(args, format);
	format_to(&to, format, args);
	va_end(args);
}

struct diff_case diff_case(const char *format, ...)
{
	struct diff_case c;
	struct sink to = {c.name, c.name + sizeof(c.name) - 1};
	va_list args;

	va_start(args, format);
	format_to(&to, format, args);
	va_end(args);
	*to.at = '\0';
	return c;
}

/* 31.2: VMsucceed clears the six flags, VMfailInvalid leaves CF, VMfailValid ZF. */
static void say_flags(uint64_t rflags)
{
	uint64_t error, flags = rflags & SX_X86_RFLAGS_ARITH;

	if (flags == 0) {
		diff_say(" ok");
	} else if (flags == SX_X86_RFLAGS_CF) {
		diff_say(" fail-invalid");
	} else if (flags == SX_X86_RFLAGS_ZF) {
		diff_say(" fail-valid");
		if (diff_vmread(SX_VMCS_INSN_ERROR, &error))
			diff_say(" %x", error);
	} else {
		diff_say(" flags %x", flags);
	}
}

void diff_say_end(const struct diff_case *c, const struct diff_end *end)
{
	diff_say("%s:", c->name);
	switch (end->kind) {
	case DIFF_NEXT:
		say_flags(end->rflags);
		break;
	case DIFF_FAULT:
		diff_say(" fault %u error %x rip %x", end->vector, (uint64_t)end->error, end->rip);
		if (end->vector == SX_VEC_PF)
			diff_say(" cr2 %x", end->cr2);
		break;
	case DIFF_EXIT:
		diff_say(" exit");
		break;
	case DIFF_ABORT:
		diff_say(" abort %x", (uint64_t)end->error);
		break;
	}
}

struct diff_end diff_step(const struct diff_case *c, enum diff_mode mode, const uint8_t *code,
			  unsigned length, uint64_t gpr[GPRS])
{
	const volatile uint64_t *operand = diff_at(AT_OPERAND);
	uint64_t before[GPRS], word;
	struct diff_host host;
	struct diff_end end;

	for (unsigned i = 0; i < GPRS; i++)
		before[i] = gpr[i];
	word = *operand;
	end = diff_execute_in(mode, code, length, gpr, &host);
	diff_say_end(c, &end);
	for (unsigned i = 0; i < GPRS; i++)
		if (gpr[i] != before[i])
			diff_say(" r%u=%x", i, gpr[i]);
	if (*operand != word)
		diff_say(" memory=%x", *operand);
	diff_say("\n");
	return end;
}
