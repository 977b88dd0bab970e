# SPDX-License-Identifier: Apache-2.0
.DEFAULT_GOAL := help

# Only setting up and installing packages need root. Debian without sudo has a root who needs none.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# Who is not root develops with a daemon of their own.
SETUP_USER := $(if $(SUDO),--user $(shell id -un),)
RELEASE := .build/release
PREFIX := /usr/local

# Installs the packages of sections of scripts/packages, if any is missing.
packages = scripts/install-packages --dry-run $(1) 2>&1 | grep -q 'are installed$$' \
	|| $(SUDO) scripts/install-packages $(1)

.PHONY: help build debug setup image demo test check lint drill bench test-vm install clean toolchain

help: ## Shows this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' \
		2>/dev/null || sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1: \2/p' $(MAKEFILE_LIST)

toolchain:
	@command -v swift >/dev/null || { \
		echo "There is no Swift toolchain: see https://www.swift.org/install" >&2; exit 1; }

build: toolchain ## Builds the release: .build/release/sandboxd and what lies beside it
	@$(call packages,build)
	swift build -c release --static-swift-stdlib
	Sources/sandboxd-init/build.sh $(RELEASE)/sandboxd-init

debug: toolchain ## Builds the same for debugging, into .build/debug
	@$(call packages,build)
	swift build
	Sources/sandboxd-init/build.sh .build/debug/sandboxd-init

setup: build ## Prepares this machine: user, subordinate ids, directories, cgroups
	@$(call packages,engine)
	$(SUDO) $(RELEASE)/sandboxd setup $(SETUP_USER)

image: setup ## Builds the images of code and of browser jobs, unless they are there
	@$(call packages,image)
	$(RELEASE)/sandboxd image build images/code
	$(RELEASE)/sandboxd image build images/browser

demo: image ## Shows runs, honest and hostile, on both engines, each with its verdict
	@$(call packages,docker)
	@scripts/demo

test: toolchain ## Runs all tests
	scripts/test

lint: toolchain ## Checks the format of Swift, the warnings of C and the syntax of scripts
	@$(call packages,build)
	swift format lint --strict --recursive Sources Tests Package.swift
	Sources/sandboxd-init/build.sh .build/lint/sandboxd-init
	Tests/Probes/build.sh .build/lint/probe
	@for script in $$(grep -lrE '^#!/bin/(ba)?sh' scripts Sources Tests .ci); do \
		bash -n "$$script" || exit 1; \
	done

check: lint test ## Runs lint and all tests: what every commit passes

drill: debug ## Kills daemons, launchers, inits and backends for two minutes while tasks run
	@$(call packages,test)
	swift build --build-tests
	Sources/sandboxd-init/build.sh .build/debug/sandboxd-init
	scripts/drill

bench: image ## Measures, beside what others take, and prints the table
	@$(call packages,bench docker)
	@status=0; scripts/bench || status=$$?; scripts/bench-queue || status=$$?; \
		scripts/bench-docker || status=$$?; scripts/bench-egress || status=$$?; \
		scripts/bench-browser || status=$$?; scripts/bench-canary || status=$$?; \
		exit $$status

test-vm: ## Runs the engine's tests on systemd and cgroup v2, in a virtual machine
	@$(call packages,vm)
	scripts/test-vm

install: build ## Installs what is built below PREFIX, and the profiles into /etc/sandboxd
	$(SUDO) install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin \
		$(RELEASE)/sandboxd $(RELEASE)/sandboxd-daemon $(RELEASE)/sandboxd-tools \
		$(RELEASE)/sandboxd-init
	$(SUDO) install -D -m 0644 -t $(DESTDIR)/etc/sandboxd/profiles profiles/*.yaml
	$(SUDO) install -D -m 0644 -t $(DESTDIR)/etc/sandboxd/profiles/syscalls profiles/syscalls/*.yaml
	$(SUDO) install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/sandboxd/deploy deploy/sandboxd.service
	$(SUDO) install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/sandboxd/deploy/apparmor \
		deploy/apparmor/sandboxd

clean: ## Removes what was built; images and the setup stay
	rm -rf .build
