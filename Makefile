# Nexus. `make help` lists the targets.
#
# One non-recursive Makefile. Each mode (release, debug, asan, tsan, cov, fuzz) builds in its own
# folder build/MODE. Every folder of sources is one static archive; programs and tests link the
# archives and take from them what they use.

MODE ?= release
B := build/$(MODE)
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

CC := gcc
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
CPPFLAGS := -Iinclude -I. -I/usr/include/lua5.4 -D_GNU_SOURCE -DNEXUS_VERSION='"$(VERSION)"'
CFLAGS := -std=c11 -g $(WARN) -fno-strict-aliasing -ffp-contract=off
LDFLAGS := -Wl,--as-needed -Wl,-z,relro,-z,now

ifeq ($(MODE),release)
CFLAGS += -O2 -fstack-protector-strong
else ifeq ($(MODE),debug)
CFLAGS += -O0
else ifeq ($(MODE),asan)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(MODE),tsan)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS += -fsanitize=thread
else ifeq ($(MODE),cov)
CFLAGS += -O0 --coverage
LDFLAGS += --coverage
else ifeq ($(MODE),fuzz)
CC := clang-14
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined
LDFLAGS += -fsanitize=address,undefined
else
$(error MODE is one of release debug asan tsan cov fuzz, not '$(MODE)')
endif

# Folders of sources, highest rank first: the order in which they are linked. tools/ranks.txt has
# the ranks themselves.
AREAS := cli worker scheduler scheduler/port scheduler/store scheduler/core scheduler/dag tasks \
         scheduler/graph lib/ml lib/net lib/script lib/model lib/artifact lib/data lib/stat lib/wire \
         lib/crypt lib/sql lib/text lib/base
LIBS := -lnng -luv -lmicrohttpd -lcurl -lsqlite3 -lyaml -ljansson -lsodium -llua5.4 -llbfgs -llapacke \
        -lopenblas -ldl -lpthread -lm

area_name = $(subst /,_,$(1))
# tasks/ has one subfolder a family of operators.
area_sources = $(filter-out %/main.c,$(wildcard $(1)/*.c)) $(if $(filter tasks,$(1)),$(wildcard tasks/*/*.c))
area_objects = $(patsubst %.c,$(B)/%.o,$(call area_sources,$(1)))
area_archive = $(if $(strip $(call area_sources,$(1))),$(B)/lib/$(call area_name,$(1)).a)

ARCHIVES := $(foreach a,$(AREAS),$(call area_archive,$(a)))
CATALOG := $(if $(wildcard tasks/main.c),$(B)/lib/catalog.a)

PROGRAMS := $(if $(wildcard cli/main.c),nexus) $(if $(wildcard scheduler/main.c),nexus-scheduler) \
            $(if $(wildcard worker/main.c),nexus-worker) $(if $(wildcard tasks/main.c),nexus-task)
BINARIES := $(addprefix $(B)/bin/,$(PROGRAMS))

UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/*_test.c))
SIM_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/*.c))
SIM := $(if $(SIM_OBJECTS),$(B)/tests/sim/sim)

.PHONY: all build
all: build
build: $(BINARIES)

.SECONDARY:
.DELETE_ON_ERROR:

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

define archive_rule
$(call area_archive,$(1)): $(call area_objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcsD $$@ $$^
endef
$(foreach a,$(AREAS),$(if $(call area_archive,$(a)),$(eval $(call archive_rule,$(a)))))

LINK = $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

$(B)/bin/nexus: $(B)/cli/main.o $(ARCHIVES) $(CATALOG)
	@mkdir -p $(@D)
	$(LINK)
$(B)/bin/nexus-scheduler: $(B)/scheduler/main.o $(ARCHIVES) $(CATALOG)
	@mkdir -p $(@D)
	$(LINK)
$(B)/bin/nexus-worker: $(B)/worker/main.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(LINK)
$(B)/bin/nexus-task: $(B)/tasks/main.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(LINK)

# The catalog: what the operators say of themselves, embedded where parameters are checked.
$(B)/gen/catalog.c: $(B)/bin/nexus-task tools/embed
	@mkdir -p $(@D)
	$(B)/bin/nexus-task --catalog > $(B)/gen/catalog.json
	tools/embed nx_catalog_json nexus/catalog.h < $(B)/gen/catalog.json > $@
$(B)/gen/catalog.o: $(B)/gen/catalog.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@
$(B)/lib/catalog.a: $(B)/gen/catalog.o
	@mkdir -p $(@D)
	ar rcsD $@ $^

# Tests.
$(B)/tests/unit/%_test: $(B)/tests/unit/%_test.o $(ARCHIVES) $(CATALOG)
	@mkdir -p $(@D)
	$(LINK) -lcmocka
$(B)/tests/sim/sim: $(SIM_OBJECTS) $(ARCHIVES)
	@mkdir -p $(@D)
	$(LINK)

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS) $(SIM)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
