# GNU make.  `make help` lists the targets.  Local settings: config.mk.
-include config.mk

VERSION := 0.1.0
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
SHAREDIR ?= $(PREFIX)/share/drtools
AR      ?= ar
INSTALL ?= install
PKG_CONFIG ?= pkg-config
V ?= release
.DEFAULT_GOAL := all

# --- what there is ---------------------------------------------------------
# Each module may include itself and what is listed here, nothing else.
# `make check-layers` holds the tree to it.
MODULES        := base stream http codec archive pg crypt manifest store coord flow
ALLOW_base     :=
ALLOW_stream   := base
ALLOW_http     := base stream
ALLOW_codec    := base stream
ALLOW_archive  := base stream
ALLOW_pg       := base stream
ALLOW_crypt    := base stream
ALLOW_manifest := base stream crypt
ALLOW_store    := base stream http
ALLOW_coord    := base stream http
ALLOW_flow     := base stream http codec archive pg crypt manifest store coord
ALLOW_cmd      := $(MODULES)

TOOLS := $(patsubst cmd/%.c,%,$(wildcard cmd/*.c))
# Installed beside the tools, and what is meant to be copied and changed.
SCRIPTS  := $(notdir $(wildcard scripts/dr-*))
EXAMPLES := cron systemd monitoring
HOOKS    := $(notdir $(wildcard scripts/hooks/*))
# --as-needed leaves each tool with those of them that it uses.
PKGS  := libpq libarchive libsodium libzstd libcrypto jansson libcurl expat libssh2

# --- set-up first, then everything else in a second make -------------------
# No pkg-config may run before scripts/deps has installed it.
.PHONY: demo check soak bench lint fuzz
demo: ## see a cluster backed up, destroyed and restored
	@sh scripts/deps build test
	@$(MAKE) --no-print-directory run-demo
check: ## build, and run every test at its quick count
	@sh scripts/deps build test
	@$(MAKE) --no-print-directory run-check
soak: ## the same tests at full count, seeds printed
	@sh scripts/deps build test
	@DR_SOAK=1 $(MAKE) --no-print-directory run-check
bench: ## time and memory, beside the peers
	@sh scripts/deps build test bench
	@$(MAKE) --no-print-directory run-bench
lint: ## clang-format, clang-tidy, cppcheck, -fanalyzer, shellcheck, mandoc
	@sh scripts/deps build test lint
	@$(MAKE) --no-print-directory run-lint
fuzz: ## run each fuzzer for FUZZ_SECS (60)
	@sh scripts/deps build test
	@$(MAKE) --no-print-directory V=fuzz CC=clang run-fuzz

outer := demo check soak bench lint fuzz clean help uninstall
ifneq ($(filter-out $(outer),$(or $(MAKECMDGOALS),all)),)

# --- flags -----------------------------------------------------------------
# CFLAGS and LDFLAGS belong to whoever runs make; ours are added around them.
CFLAGS  ?= -O2 -g
warn    := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wvla -Wcast-qual -Wcast-align \
	-Wpointer-arith -Wwrite-strings -Wundef -Wredundant-decls \
	-Wformat=2 -Wimplicit-fallthrough -Wnull-dereference \
	-Wdouble-promotion -Wswitch-enum
ifeq (,$(shell $(CC) -dM -E -x c /dev/null | grep __clang__))
warn    += -Wduplicated-cond -Wduplicated-branches -Wlogical-op \
	-Wformat-signedness -Wformat-overflow=2 -Wcast-align=strict
else
warn    += -Wmissing-variable-declarations -Wshorten-64-to-32
endif
# -U first: Debian's CFLAGS may define another level already.
hard    := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-fstack-clash-protection -fPIE -fno-common
hardld  := -pie -Wl,-z,relro,-z,now,-z,noexecstack
san     := -fno-omit-frame-pointer -fno-sanitize-recover=all

flags_release := $(hard)
ldflags_release := $(hardld)
flags_clang   := $(hard)
ldflags_clang := $(hardld)
flags_asan    := -O1 -fsanitize=address,undefined $(san)
flags_tsan    := -O1 -fsanitize=thread $(san)
flags_cov     := -O0 --coverage
flags_fuzz    := -O1 -fsanitize=fuzzer-no-link,address,undefined $(san)
$(if $(filter undefined,$(origin flags_$(V))),$(error V=$(V): no such variant))

pkgflags := $(shell $(PKG_CONFIG) --cflags $(PKGS) || echo -DDR_NO_PACKAGES)
ifneq (,$(findstring DR_NO_PACKAGES,$(pkgflags)))
$(error libraries are missing: run `sh scripts/deps build` first)
endif
ours    := -std=c11 -D_GNU_SOURCE -pthread -D_FILE_OFFSET_BITS=64 \
	-DDR_VERSION='"$(VERSION)"' -Ilib -I. $(warn) $(WERROR) $(flags_$(V)) \
	$(pkgflags:-I%=-isystem %)
ldours  := -Wl,--as-needed $(flags_$(V)) $(ldflags_$(V))
libs    := $(shell $(PKG_CONFIG) --libs $(PKGS))

# --- build -----------------------------------------------------------------
B       := build/$(V)
lib_src := $(foreach m,$(MODULES),$(wildcard lib/$(m)/*.c))
lib_obj := $(lib_src:%.c=$(B)/%.o)
tools   := $(TOOLS:%=$(B)/bin/%)
units   := $(patsubst tests/unit/%.c,$(B)/unit/%.t,$(wildcard tests/unit/*.c))
fuzzers := $(filter-out replay,$(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c)))
replays := $(fuzzers:%=$(B)/replay/%)

.PHONY: all
all: $(tools) ## build the tools (V=release|clang|asan|tsan|cov|fuzz)

$(B)/%.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/libdr.a: $(lib_obj)
	@rm -f $@
	$(AR) rcs $@ $^

link = $(CC) $(CFLAGS) $(ldours) $(LDFLAGS) -pthread -o $@ $^ $(libs) $(LDLIBS)

# cmd/TOOL.c and, where verbs have files of their own, cmd/TOOL/*.c.
verbs = $(patsubst %.c,$(B)/%.o,$(wildcard cmd/$1/*.c))
.SECONDEXPANSION:
$(B)/bin/%: $(B)/cmd/%.o $$(call verbs,$$*) $(B)/libdr.a
	@mkdir -p $(@D)
	$(link)

$(B)/unit/%.t: $(B)/tests/unit/%.o $(B)/libdr.a
	@mkdir -p $(@D)
	$(link)

# What tests/store holds each kind of store to.
$(B)/store/%: $(B)/tests/store/%.o $(B)/libdr.a
	@mkdir -p $(@D)
	$(link)

# What tests/ha looks at servers with.
$(B)/ha/%: $(B)/tests/ha/%.o $(B)/libdr.a
	@mkdir -p $(@D)
	$(link)

$(B)/replay/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/replay.o $(B)/libdr.a
	@mkdir -p $(@D)
	$(link)

# What tests/fault preloads.
$(B)/fault/shim.so: tests/fault/shim.c $(B)/.flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(CFLAGS) $(LDFLAGS) -fPIC -shared -o $@ $< -ldl

$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(B)/libdr.a
	@mkdir -p $(@D)
	$(link) -fsanitize=fuzzer

# Rebuild when the flags change.
flagline := $(CC) $(CPPFLAGS) $(ours) $(CFLAGS) $(LDFLAGS)
.PHONY: FORCE
$(B)/.flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(flagline))' | cmp -s - $@ || \
	    printf '%s\n' '$(subst ','\'',$(flagline))' >$@

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.SECONDARY:
.DELETE_ON_ERROR:

# --- check -----------------------------------------------------------------
# prove's closing lines (Files=, Result:) are what CI reads.
.PHONY: run-check test variants units replays check-layers check-headers check-man
units: $(units) $(B)/store/conform $(B)/ha/view $(B)/ha/rejoin $(B)/ha/coord \
	    $(B)/ha/node
replays: $(replays)

# What each build of a variant is for: release is tested whole; clang has to
# compile; asan and tsan run the kinds of test that tests/run is given below.
sub := $(MAKE) --no-print-directory WERROR=-Werror
variants:
	@$(sub) V=release all units replays build/release/fault/shim.so
	@$(sub) V=clang CC=clang all units replays
	@$(sub) V=asan all units replays
	@$(sub) V=tsan $(TSAN_UNITS:%=build/tsan/unit/%.t) \
	    $(TSAN_TOOLS:%=build/tsan/bin/%)

# One test of each that asks servers, for what it holds and lets go of.
ASAN_HA    := $(patsubst tests/%,%,$(wildcard tests/ha/lag-view.t))
# The codec's pool, restore's writers and the thread that makes the journal of
# WAL durable are where the threads are.
ASAN_PG    := $(patsubst tests/%,%,$(wildcard tests/pg/restore.t))
TSAN_PG    := $(patsubst tests/%,%,$(wildcard tests/pg/restore.t))
TSAN_UNITS := $(basename $(notdir $(wildcard tests/unit/pack*.c \
	tests/unit/writer*.c tests/unit/place*.c tests/unit/restore*.c \
	tests/unit/walobj.c tests/unit/walship.c tests/unit/http*.c)))
TSAN_TOOLS := $(TOOLS)

run-check: variants
	@WERROR=-Werror sh tests/run release:unit release:replay release:pg release:fault \
	    release:pipe release:store release:ha release:cli \
	    asan:unit asan:replay asan:cli asan:pipe asan:store \
	    $(ASAN_PG:%=asan:%) $(ASAN_HA:%=asan:%) tsan:unit $(TSAN_PG:%=tsan:%)

test: all units replays $(B)/fault/shim.so ## the release build's tests alone; nothing installed
	@sh tests/run

check-layers: ## hold lib/ and cmd/ to the ALLOW_ lists above
	@MODULES="$(MODULES) cmd" $(foreach m,$(MODULES) cmd,ALLOW_$(m)="$(ALLOW_$(m))") \
	    sh scripts/check-layers

check-headers: ## every header compiles by itself
	@for h in $(foreach m,$(MODULES),$(wildcard lib/$(m)/*.h)); do \
	    echo "#include \"$${h#lib/}\"" | $(CC) $(ours) -Werror -fsyntax-only -x c - || exit 1; \
	done

check-man: ## manual pages are clean mdoc
	@for m in man/*.[157]; do [ ! -e "$$m" ] || mandoc -Tlint -Wwarning $$m || exit 1; done

# --- the rest --------------------------------------------------------------
.PHONY: run-demo run-bench run-lint run-fuzz
run-demo: $(tools)
	@PATH="$(CURDIR)/$(B)/bin:$$PATH" sh scripts/demo

run-bench: $(tools)
	@PATH="$(CURDIR)/$(B)/bin:$$PATH" python3 tests/bench/receive && \
	    PATH="$(CURDIR)/$(B)/bin:$$PATH" python3 tests/bench/run && \
	    PATH="$(CURDIR)/$(B)/bin:$$PATH" python3 tests/bench/lag && \
	    PATH="$(CURDIR)/$(B)/bin:$$PATH" python3 tests/bench/down && \
	    PATH="$(CURDIR)/$(B)/bin:$$PATH" python3 tests/bench/failover && \
	    PATH="$(CURDIR)/$(B)/bin:$$PATH" python3 tests/bench/wal && \
	    PATH="$(CURDIR)/$(B)/bin:$$PATH" python3 tests/bench/store

run-lint:
	@sh scripts/lint

# What a fuzzer finds goes to build/, a corpus in the tree stays as it is.
run-fuzz: $(fuzzers:%=$(B)/fuzz/%)
	@for f in $(fuzzers); do mkdir -p $(B)/corpus/$$f $(B)/found && \
	    $(B)/fuzz/$$f -max_total_time=$(or $(FUZZ_SECS),60) \
	    -artifact_prefix=$(B)/found/$$f- -timeout=20 \
	    $(B)/corpus/$$f $$(ls -d tests/fuzz/corpus/$$f 2>/dev/null) || \
	    exit 1; done

# --- install ---------------------------------------------------------------
.PHONY: install
install: all ## install under $(DESTDIR)$(PREFIX)
	$(INSTALL) -d '$(DESTDIR)$(BINDIR)'
	$(INSTALL) -m 755 $(tools) $(SCRIPTS:%=scripts/%) '$(DESTDIR)$(BINDIR)'
	@for d in $(EXAMPLES); do e='$(DESTDIR)$(SHAREDIR)'/$$d; \
	    $(INSTALL) -d "$$e" && $(INSTALL) -m 644 scripts/$$d/* "$$e" || exit 1; done
	$(INSTALL) -d '$(DESTDIR)$(SHAREDIR)/hooks'
	$(INSTALL) -m 755 $(HOOKS:%=scripts/hooks/%) '$(DESTDIR)$(SHAREDIR)/hooks'
	@for m in man/*.[157]; do [ ! -e "$$m" ] || { d='$(DESTDIR)$(MANDIR)'/man$${m##*.}; \
	    $(INSTALL) -d "$$d" && $(INSTALL) -m 644 "$$m" "$$d"; } || exit 1; done

endif

.PHONY: uninstall clean help
uninstall: ## undo install
	rm -f $(TOOLS:%='$(DESTDIR)$(BINDIR)/%') $(SCRIPTS:%='$(DESTDIR)$(BINDIR)/%')
	rm -rf $(EXAMPLES:%='$(DESTDIR)$(SHAREDIR)/%') '$(DESTDIR)$(SHAREDIR)/hooks'
	@for m in man/*.[157]; do rm -f '$(DESTDIR)$(MANDIR)'/man$${m##*.}/$${m##*/}; done

clean: ## remove build/
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16
