# Nexus. `make help` lists the targets.
#
# One non-recursive Makefile. Each mode (release, debug, asan, tsan, cov, fuzz) builds in its own
# folder build/MODE. Every folder of sources is one static archive; programs and tests link the
# archives and take from them what they use.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables

MODE ?= release
B := build/$(MODE)
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
FUZZ_SECONDS ?= 20

# One short line a step; V=1 shows the commands themselves.
ifdef V
Q :=
say = @:
else
Q := @
say = @printf '  %-4s %s\n'
endif

CC := gcc
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
CPPFLAGS := -Iinclude -I. -I/usr/include/lua5.4 -D_GNU_SOURCE -DNEXUS_VERSION='"$(VERSION)"'
CFLAGS := -std=c11 -g $(WARN) -fno-strict-aliasing -ffp-contract=off
LDFLAGS := -Wl,--as-needed -Wl,-z,relro,-z,now

# Warnings that are guesses without -O2: the release build has the say.
LESS_SURE := -Wno-format-truncation -Wno-maybe-uninitialized

ifeq ($(MODE),release)
# Sections a function: tools/lint/pure follows what a module can reach.
CFLAGS += -O2 -fstack-protector-strong -ffunction-sections -fdata-sections
else ifeq ($(MODE),debug)
CFLAGS += $(LESS_SURE) -O0
else ifeq ($(MODE),asan)
CFLAGS += $(LESS_SURE) -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(MODE),tsan)
CFLAGS += $(LESS_SURE) -O1 -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS += -fsanitize=thread
else ifeq ($(MODE),cov)
CFLAGS += $(LESS_SURE) -O0 --coverage
LDFLAGS += --coverage
else ifeq ($(MODE),fuzz)
CC := clang-14
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -w
LDFLAGS += -fsanitize=address,undefined
else
$(error MODE is one of release debug asan tsan cov fuzz, not '$(MODE)')
endif

# Folders of sources, highest rank first: the order in which they are linked. tools/ranks.txt has
# the ranks themselves.
AREAS := cli worker scheduler scheduler/port scheduler/forecast scheduler/store scheduler/core scheduler/dag tasks \
         scheduler/graph lib/ml lib/net lib/script lib/model lib/artifact lib/data lib/stat lib/wire \
         lib/crypt lib/sql lib/text lib/base
LIBS := -lnng -luv -lmicrohttpd -lz -lcurl -lsqlite3 -lyaml -ljansson -lsodium -lmbedx509 -lmbedcrypto -llua5.4 -llbfgs -llapacke \
        -lopenblas -ldl -lpthread -lm

area_name = $(subst /,_,$(1))
# tasks/ has one subfolder a family of operators.
area_sources = $(filter-out %/main.c,$(wildcard $(1)/*.c)) $(if $(filter tasks,$(1)),$(wildcard tasks/*/*.c))
area_objects = $(patsubst %.c,$(B)/%.o,$(call area_sources,$(1)))
area_archive = $(if $(strip $(call area_sources,$(1))),$(B)/lib/$(call area_name,$(1)).a)

ARCHIVES := $(foreach a,$(AREAS),$(call area_archive,$(a)))
CATALOG := $(if $(wildcard tasks/main.c),$(B)/lib/catalog.a)
WEB := $(B)/lib/web.a

PROGRAMS := $(if $(wildcard cli/main.c),nexus) $(if $(wildcard scheduler/main.c),nexus-scheduler) \
            $(if $(wildcard worker/main.c),nexus-worker) $(if $(wildcard tasks/main.c),nexus-task)
BINARIES := $(addprefix $(B)/bin/,$(PROGRAMS))

PRODUCT_SOURCES := $(foreach a,$(AREAS),$(call area_sources,$(a))) \
                   $(wildcard cli/main.c scheduler/main.c worker/main.c tasks/main.c)

# Tests. A C file in tests/unit, crash, e2e, bench or conformance is a program of its own; tests/sim
# is one program of all its files; tests/fuzz has one program a file, in MODE=fuzz alone.
TEST_SOURCES := $(wildcard tests/unit/*_test.c tests/crash/*.c tests/e2e/*.c tests/bench/*.c \
                           tests/conformance/*.c)
TEST_PROGRAMS := $(TEST_SOURCES:%.c=$(B)/%)
UNIT_TESTS := $(filter $(B)/tests/unit/%,$(TEST_PROGRAMS))
SIM_SOURCES := $(wildcard tests/sim/*.c)
SIM := $(if $(SIM_SOURCES),$(B)/tests/sim/sim)
FUZZ_SOURCES := $(if $(filter fuzz,$(MODE)),$(wildcard tests/fuzz/*_fuzz.c))
FUZZERS := $(FUZZ_SOURCES:%.c=$(B)/%)
SOURCES := $(PRODUCT_SOURCES) $(TEST_SOURCES) $(SIM_SOURCES) $(FUZZ_SOURCES)

# A target that needs what it has just installed, or another mode, makes it by a second make.
# It uses all cores unless -j says otherwise.
SUBMAKE = +@$(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: all build tests unit-tests fuzzers
all: build
build: $(BINARIES)
tests: build $(TEST_PROGRAMS) $(SIM)
unit-tests: $(UNIT_TESTS) $(SIM)
fuzzers: $(FUZZERS)

.SECONDARY:
.DELETE_ON_ERROR:

# What everything is made with, and of which files: a change rebuilds what it concerns.
FLAGS := $(CC) $(CPPFLAGS) $(CFLAGS) | $(LDFLAGS) $(LIBS)
define remember
ifneq ($$(strip $(2)),$$(strip $$(file <$(1))))
$$(shell mkdir -p $(dir $(1)))
$$(file >$(1),$(2))
endif
endef
$(eval $(call remember,$(B)/flags,$(FLAGS)))

COMPILE = $(CC) $(CPPFLAGS) $(CFLAGS)
$(B)/%.o: %.c $(B)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -MMD -MP -c $< -o $@

define archive_rule
$(eval $(call remember,$(call area_archive,$(1)).list,$(call area_objects,$(1))))
$(call area_archive,$(1)): $(call area_objects,$(1)) $(call area_archive,$(1)).list
	$$(say) AR $$@
	@rm -f $$@
	$$(Q)ar rcsD $$@ $$(filter %.o,$$^)
endef
$(foreach a,$(AREAS),$(if $(call area_archive,$(a)),$(eval $(call archive_rule,$(a)))))

LINK = $(COMPILE) $(LDFLAGS) -o $@ $(filter %.o,$^) \
       -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

define program_rule
$(B)/bin/$(1): $(B)/$(2)/main.o $(ARCHIVES) $(3)
	$$(say) LD $$@
	@mkdir -p $$(@D)
	$$(Q)$$(LINK)
endef
$(eval $(call program_rule,nexus,cli,$(CATALOG)))
$(eval $(call program_rule,nexus-scheduler,scheduler,$(CATALOG) $(WEB)))
$(eval $(call program_rule,nexus-worker,worker,$(CATALOG)))
$(eval $(call program_rule,nexus-task,tasks))

# The catalog: what the operators say of themselves, embedded where parameters are checked.
$(B)/gen/catalog.c: $(B)/bin/nexus-task tools/embed
	$(say) GEN $@
	@mkdir -p $(@D)
	$(Q)$(B)/bin/nexus-task --catalog > $(B)/gen/catalog.json
	$(Q)tools/embed nx_catalog_json nexus/catalog.h < $(B)/gen/catalog.json > $@
$(B)/gen/catalog.o: $(B)/gen/catalog.c
	$(Q)$(COMPILE) -c $< -o $@
$(B)/lib/catalog.a: $(B)/gen/catalog.o
	@mkdir -p $(@D)
	$(Q)ar rcsD $@ $^

# The web page, embedded in the scheduler that serves it.
WEB_SOURCES := $(wildcard web/*.html web/*.css web/*.js web/*.txt web/src/*.js) web/package-lock.json
$(B)/gen/web.c: tools/web $(WEB_SOURCES)
	$(say) GEN $@
	@mkdir -p $(@D)
	$(Q)tools/web $(B)/gen/web
$(B)/gen/web.o: $(B)/gen/web.c include/nexus/web.h
	$(Q)$(COMPILE) -c $< -o $@
$(WEB): $(B)/gen/web.o
	@mkdir -p $(@D)
	$(Q)ar rcsD $@ $^

$(TEST_PROGRAMS): $(B)/tests/%: $(B)/tests/%.o $(ARCHIVES) $(CATALOG) $(WEB)
	$(say) LD $@
	$(Q)$(LINK) -lcmocka
$(B)/tests/sim/sim: $(SIM_SOURCES:%.c=$(B)/%.o) $(ARCHIVES)
	$(say) LD $@
	$(Q)$(LINK)
$(FUZZERS): $(B)/tests/%: $(B)/tests/%.o $(ARCHIVES) $(CATALOG) $(WEB)
	$(say) LD $@
	$(Q)$(LINK) -fsanitize=fuzzer

# What one does with it.
.PHONY: deps deps-test run test lint fmt bench fuzz asan-test tsan-test install uninstall clean help
deps: ## install the Debian and npm packages that a build needs; nothing the second time
	@tools/deps/install -v build
deps-test: ## and those that the tests need
	@tools/deps/install -v build test

run: ## install, build, start Nexus and run the flights pipeline (ONCE=1: and stop)
	@tools/deps/install build
	$(SUBMAKE) build
	@tools/run $(B)

test: ## every test: unit, simulation, lint programs, crash, end to end
	@tools/deps/install build test
	$(SUBMAKE) tests
	@tests/run $(B)

lint: ## every check of tools/lint
	@tools/deps/install build lint
	$(SUBMAKE) MODE=release build
	@tools/lint/run build/release

fmt: ## format the sources
	@tools/deps/install lint
	@tools/lint/sources | xargs clang-format-14 -i
	@tools/lint/scripts | xargs node tools/lint/node_modules/prettier/bin/prettier.cjs --log-level warn --write

bench: ## measure the budgets of tests/bench
	@tools/deps/install build test
	$(SUBMAKE) MODE=release tests
	@tests/bench/run build/release

fuzz: ## run each fuzzer of tests/fuzz for FUZZ_SECONDS
	@tools/deps/install build test fuzz
	$(SUBMAKE) MODE=fuzz fuzzers
	@tests/fuzz/run build/fuzz $(FUZZ_SECONDS)

asan-test: ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/deps/install build test
	$(SUBMAKE) MODE=asan tests
	@tests/run build/asan

tsan-test: ## tests of scheduler, worker and lib under ThreadSanitizer
	@tools/deps/install build test
	$(SUBMAKE) MODE=tsan tests
	@tests/run build/tsan

# An installed tree: bin/, libexec/nexus/, lib/nexus/, share/nexus/. Programs find each other and
# DuckDB's library from where they are. uninstall removes these files and folders left empty.
DUCKDB := $(wildcard node_modules/@duckdb/node-bindings-linux-*/libduckdb.so)
ifneq ($(filter install uninstall,$(MAKECMDGOALS)),)
SHARED := $(shell find README.md CHANGELOG.md LICENSE dags docs -type f 2>/dev/null)
endif
INSTALL_BIN := $(filter %/nexus,$(BINARIES))
INSTALL_LIBEXEC := $(filter-out %/nexus,$(BINARIES))
TO := $(DESTDIR)$(PREFIX)
INSTALLED := $(INSTALL_BIN:$(B)/bin/%=bin/%) $(INSTALL_LIBEXEC:$(B)/bin/%=libexec/nexus/%) \
             $(if $(DUCKDB),lib/nexus/libduckdb.so) $(SHARED:%=share/nexus/%)

install: build ## into $(DESTDIR)$(PREFIX)
	@test -n "$(DUCKDB)" || { echo "make install: no libduckdb.so; run make deps first" >&2; exit 1; }
	$(Q)install -d $(addprefix $(TO)/,$(sort $(dir $(INSTALLED))))
	$(Q)install -m 755 $(INSTALL_BIN) $(TO)/bin
	$(Q)install -m 755 $(INSTALL_LIBEXEC) $(TO)/libexec/nexus
	$(Q)install -m 644 $(DUCKDB) $(TO)/lib/nexus
	$(Q)for file in $(SHARED); do \
	    mode=644; [ ! -x $$file ] || mode=755; install -m $$mode $$file $(TO)/share/nexus/$$file; \
	done
	@echo "installed in $(TO)"

uninstall: ## take away what install has put there
	$(Q)rm -f $(addprefix $(TO)/,$(INSTALLED))
	$(Q)for folder in lib/nexus libexec/nexus share/nexus; do \
	    [ ! -d $(TO)/$$folder ] || find $(TO)/$$folder -depth -type d -empty -delete; \
	done
	@echo "uninstalled from $(TO)"

clean: ## remove build/
	$(Q)rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12
	@echo "Variables: MODE=release|debug|asan|tsan|cov|fuzz, V=1, PREFIX=$(PREFIX), DESTDIR="

-include $(SOURCES:%.c=$(B)/%.d)
