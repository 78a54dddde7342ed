#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The lint checks accept a good tree and refuse one flaw at a time.
set -euo pipefail

cd "$(dirname "$0")/../.."
lint=$PWD/tests/lint
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
export HOST_CFLAGS='-std=gnu11 -I.' GUEST_CFLAGS='-std=gnu11 -ffreestanding -I.' WARN='-Wall -Werror'
LICENCE='// SPDX-License-Identifier: BSD-3-Clause'
DUAL='/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */'

# put FILE LINE... : write a file of the tree under test
put() {
	local file=$tmp/tree/$1
	shift
	mkdir -p "$(dirname "$file")"
	printf '%s\n' "$@" >"$file"
}

good_tree() {
	rm -rf "$tmp/tree"
	put ipc/wire/w.h "$DUAL" '#ifndef W_H' '#define W_H' '#include <stdint.h>' \
		'struct w { uint32_t a; };' '#endif'
	put ipc/a.h "$LICENCE" '#ifndef A_H' '#define A_H' '#include "ipc/wire/w.h"' \
		'#include <stdio.h>' 'struct a { struct w w; };' '#endif'
	put guestcore/g.c "$LICENCE" '#include "guestcore/g.h"'
	put guestcore/g.h "$LICENCE" '#ifndef G_H' '#define G_H' '#include "ipc/a.h"' '#endif'
	put cli/c.c "$LICENCE" '#include "bench/b.h"' '#include "guestcore/g.h"'
	put bench/b.h "$LICENCE"
	put bench/guests/q.c "$LICENCE" '#include "ipc/wire/w.h"' '#include <stddef.h>'
}

# check accepts|refuses CHECK NAME : after the flaw was put in
check() {
	local out status=0
	out=$(cd "$tmp/tree" && "$lint/$2.sh" 2>&1) || status=$?
	if { [ "$1" = accepts ] && [ $status -eq 0 ] && [[ $out == *"ok - "* ]]; } ||
		{ [ "$1" = refuses ] && [ $status -ne 0 ] && [[ $out == *"not ok - $2: "* ]]; }; then
		echo "ok - $2 $1 $3"
	else
		echo "not ok - $2 $1 $3: exit status $status, said: $out"
		bad=1
	fi
	good_tree
}

good_tree
check accepts rooms "a good tree"
check accepts text "a good tree"
check accepts headers "a good tree"

put ipc/bad.c "$LICENCE" '#include "guestcore/g.h"'
check refuses rooms "ipc that includes guestcore"
put sidecore/bad.c "$LICENCE" '#include "guestcore/g.h"'
check refuses rooms "sidecore that includes guestcore"
put guestcore/bad.c "$LICENCE" '#  include  "sidecore/s.h"'
check refuses rooms "guestcore that includes sidecore"
put nested/bad.c "$LICENCE" '#include "cli/c.h"'
check refuses rooms "nested that includes cli"
put bench/bad.c "$LICENCE" '#include "tests/support/t.h"'
check refuses rooms "bench that includes tests"
put cli/bad.c "$LICENCE" '#include "b.h"'
check refuses rooms "an include that names no room"
put cli/bad.c "$LICENCE" '#include "../bench/b.h"'
check refuses rooms "a relative include"
put tests/unit/bad.c "$LICENCE" '#include "cli/c.c"'
check refuses rooms "an included source file"
put ipc/wire/bad.h "$DUAL" '#include <string.h>'
check refuses rooms "a wire header that needs the C library"
put ipc/wire/bad.h "$DUAL" '#include "ipc/a.h"'
check refuses rooms "a wire header that includes a host header"
put bench/guests/bad.c "$LICENCE" '#include <stdio.h>'
check refuses rooms "a micro-guest that needs the C library"
put elsewhere/bad.c "$LICENCE" '#include "ipc/a.h"'
check refuses rooms "C outside of the rooms"

put ipc/bad.c 'int a;'
check refuses text "a file without a licence"
put ipc/wire/bad.h "$LICENCE"
check refuses text "a wire header that is not dual licensed"
put ipc/bad.c "$LICENCE" '// see /ho''me/someone/notes'
check refuses text "a path of one machine"
put ipc/bad.c "$LICENCE" '// TO''DO: the rest'
check refuses text "something left to do"
put ipc/bad.c "$LICENCE" 'int a; '
check refuses text "white space at the end of a line"
printf '%s\nint a;' "$LICENCE" >"$tmp/tree/ipc/bad.c"
check refuses text "a last line that does not end"
put ipc/bad.c "$LICENCE" "$(seq -f 'int a%g;' 900)"
check refuses text "a file that is too long"
put ipc/bad.c "$LICENCE" "$(seq -f 'int a%g;' 899)"
check accepts text "a file that is just not too long"

put ipc/bad.h "$LICENCE" 'void f(size_t n);'
check refuses headers "a header that does not compile alone"
put ipc/bad.h "$LICENCE" 'struct again { int a; };'
check refuses headers "a header that does not compile twice"
put ipc/wire/bad.h "$DUAL" 'static inline void f(void)' '{' '	asm("nop");' '}'
check refuses headers "a wire header that is not C11"
put bench/guests/lib/bad.h "$LICENCE" '#include <stdio.h>'
check refuses headers "a guest header that needs the C library"
exit $bad
