# SPDX-License-Identifier: BSD-3-Clause
# splitx: `make help` says what there is. Everything built goes under build/.

CC      ?= cc
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
OPT     ?= -O2 -g
SAN     ?=
VERSION := 0.1.0

PKGS    := liburcu-qsbr hwloc jansson
# Asked of pkg-config only when something is compiled, so that help, clean and set-up run bare.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PKGS) liburcu-common))$(PKG_LIBS)

WARN    := -Wall -Wextra -Werror -Wtype-limits -Wmissing-prototypes -Wstrict-prototypes \
	   -Wshadow -Wvla -Wwrite-strings
CPPFLAGS += -I. -D_GNU_SOURCE -DSX_VERSION='"$(VERSION)"'
CFLAGS   += -std=gnu11 $(OPT) $(WARN) -fno-strict-aliasing -fstack-protector-strong
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
LDFLAGS  += -pthread $(SANFLAGS)

LIB_SRCS  := $(wildcard ipc/*.c guestcore/*.c sidecore/*.c sidecore/virtio/*.c nested/*.c)
PROG_SRCS := $(wildcard cli/*.c bench/*.c)
obj        = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIB       := $(BUILD)/libsplitx.a

.DEFAULT_GOAL := all
.PHONY: all
all: $(BUILD)/splitx guests peers

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(SANFLAGS) -pthread -MMD -MP -c $< -o $@

$(LIB): $(call obj,$(LIB_SRCS))
	@rm -f $@
	$(AR) rcs $@ $^

# bench/ and cli/ without main(), so that integration tests link the same wiring.
PROGLIB := $(BUILD)/libsplitxprog.a
$(PROGLIB): $(call obj,$(filter-out cli/main.c,$(PROG_SRCS)))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/splitx: $(BUILD)/cli/main.o $(PROGLIB) $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d $(BUILD)/*/*/*/*.d)
