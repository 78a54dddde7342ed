// SPDX-License-Identifier: BSD-3-Clause
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>

/* strtoull takes signs and spaces; a count does not begin with one. */
static int parse(const char *text, char **end, uint64_t *value)
{
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, end, 10);
	return -errno;
}

int sx_parse_number(const char *option, const char *text, uint64_t low, uint64_t high,
		    uint64_t *value, struct sx_error *err)
{
	char *end;

	if (parse(text, &end, value) < 0 || *end || *value < low || *value > high)
		return sx_fail(err, -EINVAL,
			       "%s wants a number from %" PRIu64 " to %" PRIu64 ", not '%s'",
			       option, low, high, text);
	return 0;
}

int sx_parse_size(const char *option, const char *text, uint64_t *bytes, struct sx_error *err)
{
	unsigned shift = 20;
	uint64_t value;
	char *end;

	if (parse(text, &end, &value) < 0)
		goto bad;
	if (*end) {
		switch (toupper((unsigned char)*end++)) {
		case 'K':
			shift = 10;
			break;
		case 'M':
			shift = 20;
			break;
		case 'G':
			shift = 30;
			break;
		default:
			goto bad;
		}
	}
	if (*end || !value || value > UINT64_MAX >> shift)
		goto bad;
	*bytes = value << shift;
	return 0;
bad:
	return sx_fail(err, -EINVAL,
		       "%s wants a size such as 64M or 1G (a bare number is MiB), not '%s'", option,
		       text);
}

int sx_refuse_option(const char *command, int why, char **argv, struct sx_error *err)
{
	const char *word = argv[optind - 1];

	if (why == ':')
		return sx_fail(err, -EINVAL, "%.80s needs a value; run 'splitx %s --help'", word,
			       command);
	if (optopt >= 256)
		return sx_fail(err, -EINVAL, "%.80s takes no value; run 'splitx %s --help'", word,
			       command);
	if (optopt) /* a letter may stand in the midst of others */
		return sx_fail(err, -EINVAL, "'-%c' is no option; run 'splitx %s --help'", optopt,
			       command);
	return sx_fail(err, -EINVAL, "'%.80s' is no option; run 'splitx %s --help'", word, command);
}
