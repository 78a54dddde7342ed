# SPDX-License-Identifier: BSD-3-Clause
# The emulated hosts with stock KVM (docs/lab.md); included by the Makefile.

.PHONY: lab-amd lab-intel lab-check
lab-amd lab-intel: lab-%: ## A shell in an emulated host with stock KVM; without a terminal, what it offers
	@lab/setup.sh lab
	@if [ -t 0 ] && [ -t 1 ]; then set -- --shell; else set -- -- kvmcheck; fi && \
		BUILD=$(BUILD) lab/lab $* $(LAB_ARGS) "$$@"

lab-check: ## Boot both emulated hosts: KVM runs a guest, exit statuses and files come back
	@lab/setup.sh lab
	@BUILD=$(BUILD) lab/check.sh amd
	@BUILD=$(BUILD) lab/check.sh intel

# For guests in which KVM runs; needs no kernel package.
$(BUILD)/lab/kvmcheck: lab/guest/kvmcheck.c lab/guest/hold.c lab/guest/hold.h
	@mkdir -p $(@D) && flock $(@D)/.lock $(MAKE) -s -f lab/build.mk LAB_KERNEL=none LAB_BUILD=$(@D) $@

# --- kernel modules ------------------------------------------------------------------------------

# For which kernel: by default that of the emulated hosts. KERNEL_HEADERS=/lib/modules/$(uname -r)/build
# builds for the one that runs.
KERNEL_HEADERS ?= $(LAB_KERNEL_ROOT)/lib/modules/$(shell lab/kernel.sh newest)/build
KERNEL_DIR      = $(abspath $(BUILD))/kernel

# Kbuild puts what it makes beside the sources, so it gets copies of them.
.PHONY: kernel
kernel: ## Build the kernel modules of kernel/ (docs/host-module.md); KERNEL_HEADERS says for which kernel
	@if [ -e '$(KERNEL_HEADERS)/Makefile' ]; then \
		mkdir -p '$(KERNEL_DIR)' && cp -u kernel/* '$(KERNEL_DIR)' && \
		$(MAKE) -s -C '$(KERNEL_HEADERS)' M='$(KERNEL_DIR)' SX_TOP='$(CURDIR)' CONFIG_DEBUG_INFO_BTF_MODULES= modules; \
	else \
		echo "note: there are no kernel headers in $(KERNEL_HEADERS), so the kernel modules are left out"; \
	fi
