# SPDX-License-Identifier: BSD-3-Clause
# splitx: `make help` says what there is. Everything built goes under build/.
#
# A .c file is built by where it lies; this file names no source but cli/main.c:
#   ipc/ guestcore/ sidecore/ nested/   the library          -> libsplitx.a
#   cli/ bench/                         the command          -> splitx
#   bench/guests/*.c tests/guests/*.c   micro-guests         -> guests/NAME, tests/guests/NAME
#   tests/kernels/*.c                   Multiboot kernels    -> tests/kernels/NAME
#   bench/linux/*.c *.S                 what a Linux guest does  -> linux/l1, static
#   bench/peers/*.c                     what we compare with -> peers/NAME
#   sidecore/backend/dpdk/              a plug-in            -> lib/splitx-dpdk.so
#   tests/unit/ tests/integration/      one program a file   -> tests/unit/NAME, ...
#   tests/support/*.c                   shared by the tests
#   tests/fuzz/fuzz_*.c                 libFuzzer targets    -> fuzz/NAME
#   tests/lab/host_*.c                  run in the emulated hosts -> tests/lab/NAME
#   tests/differential/                 one set of cases on two machines -> tests/differential/vmx_*
#   kernel/                             kernel modules       -> kernel/NAME.ko, by `make kernel`
# Sanitizer builds are this same file with another BUILD, CC and SAN.

MAKEFLAGS += --no-builtin-rules

CC      ?= cc
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
OPT     ?= -O2 -g
SAN     ?=
V       ?=
VERSION := 0.1.0

# What `make test` runs; MATCH=WORD keeps only the tests with WORD in their name.
SUITES       ?= unit integration model scripts lint asan tsan fuzz lab
MATCH        ?=
FUZZ_SECONDS ?= 60
# Run again under ThreadSanitizer.
TSAN_TESTS   ?= $(notdir $(basename $(wildcard tests/unit/test_*_stress.c))) test_mailbox test_sidecore \
		test_sidecore_sleep test_sidecore_stop test_sidecore_traffic
# The compiler of the TSan and fuzz builds: libFuzzer is clang's, and gcc's TSan refuses fences.
CLANG        ?= clang

# --- flags -------------------------------------------------------------------------------------

PKGS := liburcu-qsbr hwloc jansson liburing
# Asked of pkg-config only when something is compiled, so that help, clean and set-up run bare.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS) 2>/dev/null))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PKGS) 2>/dev/null))$(PKG_LIBS)
# libZydis comes without a pkg-config file.
ZYDIS     := $(if $(wildcard nested/*.c),-lZydis)
# The one of libslirp asks for GLib's, which nothing else here needs.
SLIRP     := -lslirp

WARN := -Wall -Wextra -Werror -Wtype-limits -Wmissing-prototypes -Wstrict-prototypes \
	-Wshadow -Wvla -Wwrite-strings
# Structures of KVM end in arrays, and ours have the room for these behind them. (clang)
WARN += -Wno-gnu-variable-sized-type-not-at-end
SAN_FLAGS  := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
SX_CFLAGS   = -std=gnu11 $(OPT) $(WARN) -fno-strict-aliasing -fstack-protector-strong -pthread \
	      -I. -I$(BUILD)/gen -D_GNU_SOURCE -DSX_VERSION='"$(VERSION)"' $(PKG_CFLAGS) $(SAN_FLAGS) \
	      $(CPPFLAGS) $(CFLAGS)
SX_LDFLAGS  = -pthread -Wl,--as-needed $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS)
SX_LIBS     = $(PKG_LIBS) $(ZYDIS) $(SLIRP) $(LDLIBS)

# Tests find their guests and the command under SX_BUILD_DIR (scripts: in the environment).
TEST_CFLAGS = -DSX_BUILD_DIR='"$(abspath $(BUILD))"'

# Micro-guests: freestanding, static, at the addresses guest.ld gives; never instrumented.
GUEST_CFLAGS  := -std=gnu11 -O2 -g $(WARN) -march=x86-64 -mcmodel=small -mno-red-zone -fno-pic \
		 -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
		 -fno-strict-aliasing -I.
# Multiboot kernels: 32-bit; a kernel is one file, whose header the loader finds near its start.
KERNEL_FLAGS  := -std=gnu11 -Os $(WARN) -m32 -mgeneral-regs-only -fno-pic -ffreestanding \
		 -fno-stack-protector -fno-asynchronous-unwind-tables -fno-strict-aliasing -I. \
		 -nostdlib -static -Wl,-no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
		 -Wl,-z,max-page-size=4096 -Wl,-z,noseparate-code -Wl,-Ttext-segment=0x100000
GUEST_LDFLAGS := -nostdlib -static -Wl,-no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
		 -Wl,-z,max-page-size=4096

DPDK_CFLAGS = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags libdpdk))
DPDK_LIBS   = $(shell pkg-config --libs libdpdk)

# --- sources and what they become --------------------------------------------------------------

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

LIB_SRCS     := $(wildcard $(addsuffix .c,$(foreach d,ipc guestcore sidecore nested,$d/* $d/*/*)))
PROG_SRCS    := $(wildcard cli/*.c bench/*.c)
SUPPORT_SRCS := $(wildcard tests/support/*.c)
LINUX_SRCS   := $(wildcard bench/linux/*.c)
PEER_SRCS    := $(wildcard bench/peers/*.c)
DPDK_SRCS    := $(wildcard sidecore/backend/dpdk/*.c)
UNIT_SRCS    := $(wildcard tests/unit/test_*.c)
INTEG_SRCS   := $(wildcard tests/integration/test_*.c)
FUZZ_SRCS    := $(wildcard tests/fuzz/fuzz_*.c)
LABTEST_SRCS := $(wildcard tests/lab/host_*.c)
DIFF_CASES   := $(wildcard tests/differential/*.c)
DIFF_BARE    := $(wildcard tests/differential/bare/*.[cS])
DIFF_ENGINE  := $(wildcard tests/differential/engine/*.c)
FUZZ_DPDK    := $(filter %/fuzz_dpdk_offload.c,$(FUZZ_SRCS))
GUEST_SRCS   := $(wildcard bench/guests/*.c tests/guests/*.c)
GUESTLIB     := $(wildcard bench/guests/lib/*.c bench/guests/lib/*.S)
GUEST_LD     := bench/guests/lib/guest.ld

LIB       := $(BUILD)/libsplitx.a
PROGLIB   := $(BUILD)/libsplitxprog.a
SUPPORT   := $(BUILD)/libtestsupport.a
UNIT      := $(UNIT_SRCS:%.c=$(BUILD)/%)
INTEG     := $(INTEG_SRCS:%.c=$(BUILD)/%)
FUZZ      := $(FUZZ_SRCS:tests/fuzz/%.c=$(BUILD)/%)
LABPROGS  := $(LABTEST_SRCS:%.c=$(BUILD)/%)
# Of the suite `integration`, what runs on stock KVM too.
LAB_INTEG := $(addprefix $(BUILD)/tests/integration/test_,l2_memory nested_msr nested_cpuid)
DIFF      := $(addprefix $(BUILD)/tests/differential/vmx_,bare engine)
DIFF_OBJS := $(patsubst %,$(BUILD)/guest-obj/%.o,$(DIFF_BARE) $(DIFF_CASES))
L1        := $(BUILD)/linux/l1
PEERS     := $(PEER_SRCS:bench/peers/%.c=$(BUILD)/peers/%)
GUESTS    := $(patsubst bench/%.c,$(BUILD)/%,$(filter bench/%,$(GUEST_SRCS)))
T_KERNELS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/kernels/*.c))
T_GUESTS  := $(patsubst %.c,$(BUILD)/%,$(filter tests/%,$(GUEST_SRCS)))
GLIB_OBJS := $(GUESTLIB:%=$(BUILD)/guest-obj/%.o)

# What DPDK's users have in common with the program comes along.
PLUGIN    := $(if $(DPDK_SRCS),$(BUILD)/lib/splitx-dpdk.so)
PIC_SRCS  := $(DPDK_SRCS) ipc/error.c

HAVE_DPDK := $(if $(PEER_SRCS)$(DPDK_SRCS),$(shell pkg-config --exists libdpdk 2>/dev/null && echo yes))

# --- how things are built ----------------------------------------------------------------------

# A short line for each step, none with -s; V=1 shows the commands.
SILENT = $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
quiet  = $(if $(V),,@$(if $(SILENT),,printf '  %-6s %s\n' '$(1)' '$(2)' && ))
# Another make of this file, on all cores unless -j said otherwise.
SUBMAKE = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

.DEFAULT_GOAL := all
.PHONY: all guests linux peers plugins FORCE
FORCE:
.DELETE_ON_ERROR:
all: $(BUILD)/splitx guests linux peers plugins ## Build the command, micro-guests, plug-ins and peers; no network
guests: $(GUESTS)
linux: $(L1)

ifeq ($(HAVE_DPDK),yes)
peers: $(PEERS)
plugins: $(PLUGIN)
else
peers:
	@test -z '$(PEERS)' || echo 'note: libdpdk is not installed, so the peers are left out'
plugins:
	@test -z '$(PLUGIN)' || echo 'note: libdpdk is not installed, so --net port= is left out'
endif

# A stamp changes only when its text does; what depends on it is then built again.
define stamp
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || \
		printf '%s\n' '$(subst ','\'',$(1))' > $@
endef

# What has to be there before anything is compiled; silent, the set-up script has the words.
have_packages = { command -v $(firstword $(CC)) && command -v iasl && pkg-config --exists $(PKGS) \
	&& $(CC) -E -include slirp/libslirp.h -x c /dev/null \
	$(if $(ZYDIS),&& $(CC) -E -include Zydis/Zydis.h -x c /dev/null); } >/dev/null 2>&1

$(BUILD)/.stamp/flags: FORCE
	@$(have_packages) || { lab/setup.sh --check build && \
		echo 'splitx cannot be built: $(CC), iasl, $(PKGS), slirp or Zydis is not found' >&2; exit 1; }
	$(call stamp,$(CC) $(SX_CFLAGS) $(SX_LDFLAGS) $(SX_LIBS))

$(BUILD)/.stamp/guest-flags: FORCE
	$(call stamp,$(CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) $(KERNEL_FLAGS))

# So that a removed file leaves its archive too.
$(BUILD)/.stamp/sources: FORCE
	$(call stamp,$(LIB_SRCS) $(PROG_SRCS) $(SUPPORT_SRCS) $(LINUX_SRCS) $(GUESTLIB))

# ACPI tables: ASL, which reads headers too, becomes bytes in a C array.
ACPI_HEX := $(patsubst %.asl,$(BUILD)/gen/%.hex,$(wildcard guestcore/acpi/*.asl))
$(ACPI_HEX): $(BUILD)/gen/%.hex: %.asl guestcore/pc_map.h
	@mkdir -p $(@D)
	$(call quiet,ASL,$@)iasl -we -vs -I . -tc -p $(@:.hex=_raw) $< >$@.log 2>&1 || \
		{ cat $@.log && exit 1; }
	@sed 's/^unsigned char [a-z0-9_]*/static const unsigned char sx_$(*F)/' $(@:.hex=_raw.hex) >$@

$(BUILD)/guestcore/acpi.o $(BUILD)/lint/guestcore/acpi.c.tidy: $(ACPI_HEX)

$(BUILD)/%.o: %.c $(BUILD)/.stamp/flags
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(SX_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c $< -o $@

# Code of shared objects.
$(BUILD)/pic/%.o: %.c $(BUILD)/.stamp/flags
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(SX_CFLAGS) -fPIC $(DPDK_CFLAGS) -MMD -MP -c $< -o $@

$(call obj,$(UNIT_SRCS) $(INTEG_SRCS) $(SUPPORT_SRCS)): EXTRA_CFLAGS = $(TEST_CFLAGS)
$(call obj,$(PEER_SRCS) $(FUZZ_DPDK)): EXTRA_CFLAGS = $(DPDK_CFLAGS)

# PROGLIB is cli/ and bench/ without main(), so that tests link the same wiring.
$(LIB): $(call obj,$(LIB_SRCS))
$(PROGLIB): $(call obj,$(filter-out cli/main.c,$(PROG_SRCS)))
$(SUPPORT): $(call obj,$(SUPPORT_SRCS))
$(LIB) $(PROGLIB) $(SUPPORT): $(BUILD)/.stamp/sources $(BUILD)/.stamp/flags
	@rm -f $@
	$(call quiet,AR,$@)$(AR) rcs $@ $(filter %.o,$^)

link = $(call quiet,LD,$@)mkdir -p $(@D) && $(CC) $(SX_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(1) $(SX_LIBS)

$(BUILD)/splitx: $(BUILD)/cli/main.o $(PROGLIB) $(LIB)
	$(call link)
$(PEERS): $(BUILD)/peers/%: $(BUILD)/bench/peers/%.o $(PROGLIB) $(LIB)
	$(call link,$(DPDK_LIBS))
$(PLUGIN): $(PIC_SRCS:%.c=$(BUILD)/pic/%.o)
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) -shared $(SX_LDFLAGS) -o $@ $^ $(DPDK_LIBS)
$(UNIT): %: %.o $(SUPPORT) $(PROGLIB) $(LIB)
	$(call link,-lcmocka)
$(INTEG): %: %.o $(SUPPORT) $(PROGLIB) $(LIB)
	$(call link,-lcmocka)
$(LABPROGS): %: %.o $(PROGLIB) $(LIB)
	$(call link)
$(FUZZ): $(BUILD)/%: $(BUILD)/tests/fuzz/%.o $(SUPPORT) $(PROGLIB) $(LIB)
	$(call link,-fsanitize=fuzzer)

$(BUILD)/fuzz_dpdk_offload: $(BUILD)/pic/sidecore/backend/dpdk/offload.o

GUEST_CC = $(CC) $(GUEST_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c $< -o $@
# These also run where CPL 0 is emulated, and vector instructions are not.
$(GLIB_OBJS) $(BUILD)/guest-obj/tests/guests/l1_insn.c.o: GUEST_CFLAGS += -mgeneral-regs-only
$(BUILD)/guest-obj/%.c.o: %.c $(BUILD)/.stamp/guest-flags
	@mkdir -p $(@D)
	$(call quiet,GCC,$@)$(GUEST_CC)
$(BUILD)/guest-obj/%.S.o: %.S $(BUILD)/.stamp/guest-flags
	@mkdir -p $(@D)
	$(call quiet,GAS,$@)$(GUEST_CC)

$(GUESTS): $(BUILD)/%: $(BUILD)/guest-obj/bench/%.c.o
$(T_GUESTS): $(BUILD)/%: $(BUILD)/guest-obj/%.c.o
$(GUESTS) $(T_GUESTS): $(GLIB_OBJS) $(GUEST_LD) $(BUILD)/.stamp/sources
	@mkdir -p $(@D)
	$(call quiet,GUEST,$@)$(CC) $(GUEST_LDFLAGS) -Wl,-T,$(GUEST_LD) -o $@ $(filter %.o,$^)

# The cases, beside the two machines that they run on: a Multiboot kernel and a program.
$(DIFF_OBJS): EXTRA_CFLAGS = -mgeneral-regs-only
$(BUILD)/tests/differential/vmx_bare: $(DIFF_OBJS) $(GUEST_LD)
	@mkdir -p $(@D)
	$(call quiet,KERNEL,$@)$(CC) $(GUEST_LDFLAGS) -Wl,-T,$(GUEST_LD) -o $@ $(filter %.o,$^)
$(BUILD)/tests/differential/vmx_engine: $(call obj,$(DIFF_ENGINE) $(DIFF_CASES)) $(LIB)
	$(call link)

# Of a Linux guest that has no libraries; never instrumented.
LINUX_CC = $(CC) $(filter-out $(SAN_FLAGS),$(SX_CFLAGS)) -MMD -MP -c $< -o $@
$(BUILD)/linux-obj/%.o: bench/linux/% $(BUILD)/.stamp/flags
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(LINUX_CC)
$(L1): $(patsubst bench/linux/%,$(BUILD)/linux-obj/%.o,$(LINUX_SRCS) $(wildcard bench/linux/*.S)) \
		$(BUILD)/.stamp/sources
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) -pthread -static -o $@ $(filter %.o,$^)

$(T_KERNELS): $(BUILD)/%: %.c $(BUILD)/.stamp/guest-flags
	@mkdir -p $(@D)
	$(call quiet,KERNEL,$@)$(CC) $(KERNEL_FLAGS) -MMD -MP -MF $@.d -o $@ $<

C_SRCS := $(LIB_SRCS) $(PROG_SRCS) $(SUPPORT_SRCS) $(PEER_SRCS) $(LINUX_SRCS) $(DPDK_SRCS) $(UNIT_SRCS) $(INTEG_SRCS) $(FUZZ_SRCS) \
	$(LABTEST_SRCS) $(DIFF_CASES) $(DIFF_ENGINE) $(filter %.c,$(DIFF_BARE))
-include $(C_SRCS:%.c=$(BUILD)/%.d) $(PIC_SRCS:%.c=$(BUILD)/pic/%.d) $(GLIB_OBJS:.o=.d) $(DIFF_OBJS:.o=.d) $(GUEST_SRCS:%=$(BUILD)/guest-obj/%.d) \
	$(patsubst bench/linux/%,$(BUILD)/linux-obj/%.d,$(LINUX_SRCS)) \
	$(T_KERNELS:%=%.d)

# --- set-up, run and measure -------------------------------------------------------------------

.PHONY: setup run bench bench-lab
setup: ## Install the packages that building, testing, measuring and the emulated hosts need
	@lab/setup.sh --all

run: ## Set up, build, and show the headline: the cost of each kind of exit, trapped and split
	@lab/setup.sh build
	+@$(SUBMAKE) all
	@BUILD=$(BUILD) lab/headline.sh

bench: ## The same with its figures as JSON and a chart as SVG under build/bench/
	@lab/setup.sh build
	+@$(SUBMAKE) all
	@mkdir -p $(BUILD)/bench
	@for suite in exits virtio; do $(BUILD)/splitx bench $$suite --json $(BUILD)/bench/$$suite.json \
		--svg $(BUILD)/bench/$$suite.svg || exit; done

bench-lab: ## The suites that boot Linux, in the emulated hosts, beside QEMU's guests and KVM's own nesting
	@lab/setup.sh build lab
	+@$(SUBMAKE) all
	@BUILD=$(BUILD) bench/lab.sh boot --rounds 5 --svg $(BUILD)/bench/boot-lab.svg
	@BUILD=$(BUILD) bench/lab.sh virtio --rounds 3 --svg $(BUILD)/bench/virtio-lab.svg
	@for host in amd intel; do BUILD=$(BUILD) bench/lab.sh nested $$host --rounds 3 \
		--svg $(BUILD)/bench/nested-lab-$$host.svg || exit; done

# --- tests -------------------------------------------------------------------------------------

RUN_TESTS = BUILD=$(BUILD) TSAN_TESTS='$(TSAN_TESTS)' MATCH='$(MATCH)' $(LINT_ENV) tests/run.sh

.PHONY: test asan tsan fuzz $(addprefix build-,unit integration model scripts lint asan tsan fuzz lab lab-long)
test: ## Set up, build, run every test; SUITES="unit fuzz" or MATCH=ring runs a part
	@lab/setup.sh build test $(if $(filter lab%,$(SUITES)),lab)
	+@$(SUBMAKE) $(SUITES:%=build-%)
	@$(RUN_TESTS) $(SUITES)

asan: ## The unit and integration tests under AddressSanitizer and UBSan
tsan: ## The tests named in TSAN_TESTS under ThreadSanitizer
asan tsan:
	@lab/setup.sh build test
	+@$(SUBMAKE) build-$@
	@$(RUN_TESTS) $@

fuzz: ## Fuzz each target for FUZZ_SECONDS (60); what it learns is kept in build/fuzz/
	@lab/setup.sh build test
	+@$(SUBMAKE) build-fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(RUN_TESTS) fuzz

build-unit: $(UNIT) plugins
build-integration: $(INTEG) $(BUILD)/splitx $(GUESTS) $(T_GUESTS) $(T_KERNELS)
build-lab build-lab-long: $(LABPROGS) kernel $(BUILD)/lab/kvmcheck
build-lab: $(DIFF) $(LAB_INTEG) $(BUILD)/tests/guests/l1_msr $(BUILD)/tests/guests/l1_cpuid
build-scripts: $(T_GUESTS) $(T_KERNELS)
build-scripts build-lab build-lab-long: all
build-unit build-integration build-scripts build-model build-lint:
	@:
build-asan:
	+@$(SUBMAKE) BUILD=$(BUILD)/asan OPT='-O1 -g' SAN=address,undefined build-unit build-integration
build-tsan:
	$(if $(TSAN_TESTS),+@$(SUBMAKE) BUILD=$(BUILD)/tsan CC=$(CLANG) OPT='-O1 -g' SAN=thread \
		$(TSAN_TESTS:%=$(BUILD)/tsan/tests/unit/%))
build-fuzz:
	+@$(SUBMAKE) BUILD=$(BUILD)/fuzz CC=$(CLANG) OPT='-O1 -g' SAN=fuzzer-no-link,address,undefined \
		fuzzers
.PHONY: fuzzers
fuzzers: $(if $(HAVE_DPDK),$(FUZZ),$(filter-out %/fuzz_dpdk_offload,$(FUZZ)))

include lab/lab.mk

# --- lint --------------------------------------------------------------------------------------

# The header check compiles with the flags of the build.
LINT_ENV = HOST_CFLAGS="$(subst ",\",$(SX_CFLAGS))" GUEST_CFLAGS='$(GUEST_CFLAGS)' WARN='$(WARN)'
TIDY    := $(patsubst %,$(BUILD)/lint/%.tidy,$(C_SRCS) $(GUEST_SRCS) $(filter %.c,$(GUESTLIB)))
ROOMS_H := $(wildcard $(addsuffix .h,$(foreach d,ipc guestcore sidecore nested cli bench tests,\
	$d/* $d/*/* $d/*/*/*)))

.PHONY: lint format lint-format lint-tidy lint-headers lint-rooms lint-text lint-shell lint-man lint-builds
lint: ## clang-format, clang-tidy, headers, rooms, texts, scripts, man pages, gcc and clang at -O0
	@lab/setup.sh build test
	+@$(SUBMAKE) -k lint-format lint-headers lint-rooms lint-text lint-shell lint-man lint-tidy \
		lint-builds

format: ## Lay out all C as .clang-format says
	@clang-format -i $$(tests/lint/files.sh '*.c' '*.h')

lint-format:
	@clang-format --dry-run -Werror $$(tests/lint/files.sh '*.c' '*.h')
	@echo 'ok - the layout is the one of .clang-format'
lint-headers:
	@$(LINT_ENV) tests/lint/headers.sh
lint-rooms lint-text: lint-%:
	@tests/lint/$*.sh
lint-shell:
	@shellcheck -x $$(tests/lint/files.sh '*.sh' .ci/run)
	@echo 'ok - shellcheck has nothing to say'
lint-man:
	@mandoc -T lint -W warning $$(tests/lint/files.sh '*.1')
	@echo 'ok - mandoc has nothing to say'
lint-tidy: $(TIDY)
	@echo 'ok - clang-tidy has nothing to say'
lint-builds:
	+@$(SUBMAKE) -s BUILD=$(BUILD)/O0-gcc CC=gcc OPT=-O0 all build-unit build-integration
	+@$(SUBMAKE) -s BUILD=$(BUILD)/O0-clang CC=clang OPT=-O0 all build-unit build-integration
	@echo 'ok - gcc and clang build and link everything at -O0'

tidy_cflags = $(if $(findstring /guests/,$(1)),$(GUEST_CFLAGS),$(SX_CFLAGS) $(TEST_CFLAGS) \
	$(if $(filter bench/peers/% sidecore/backend/dpdk/% $(FUZZ_DPDK),$(1)),$(DPDK_CFLAGS)))
$(BUILD)/lint/%.tidy: % .clang-tidy $(ROOMS_H) $(BUILD)/.stamp/flags
	@mkdir -p $(@D)
	$(call quiet,TIDY,$<)out=$$(clang-tidy --quiet $< -- $(call tidy_cflags,$<) 2>&1) || \
		{ printf '%s\n' "$$out"; exit 1; }
	@touch $@

# --- install -----------------------------------------------------------------------------------

BIN_DIR   := $(DESTDIR)$(PREFIX)/bin
PEER_DIR  := $(DESTDIR)$(PREFIX)/libexec/splitx/peers
LIB_DIR   := $(DESTDIR)$(PREFIX)/lib/splitx
GUEST_DIR := $(LIB_DIR)/guests
MAN_DIR   := $(DESTDIR)$(PREFIX)/share/man/man1
MAN_PAGES := $(wildcard docs/*.1)
INST_PEERS = $(if $(HAVE_DPDK),$(PEERS))

.PHONY: install uninstall clean help
install: all ## Install under DESTDIR/PREFIX (/usr/local): command, guests, plug-ins, peers, man pages
	install -d '$(BIN_DIR)' '$(PEER_DIR)' '$(GUEST_DIR)' '$(MAN_DIR)'
	install -m 755 $(BUILD)/splitx '$(BIN_DIR)'
	$(if $(INST_PEERS),install -m 755 $(INST_PEERS) '$(PEER_DIR)')
	$(if $(HAVE_DPDK),$(if $(PLUGIN),install -m 644 $(PLUGIN) '$(LIB_DIR)'))
	$(if $(GUESTS),install -m 644 $(GUESTS) '$(GUEST_DIR)')
	$(if $(MAN_PAGES),install -m 644 $(MAN_PAGES) '$(MAN_DIR)')

uninstall: ## Remove what install put there
	rm -f '$(BIN_DIR)/splitx' $(foreach p,$(notdir $(MAN_PAGES)),'$(MAN_DIR)/$p')
	rm -rf '$(DESTDIR)$(PREFIX)/libexec/splitx' '$(DESTDIR)$(PREFIX)/lib/splitx'

clean: ## Remove everything built
	rm -rf '$(BUILD)'

help: ## This list
	@awk -F ':.*## ' '/^[a-z][a-z -]*:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' Makefile lab/lab.mk
