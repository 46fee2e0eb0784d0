# rsio: build, test, install.  "make help" lists the targets.
#
# Variables: BUILD (build) CC (gcc) SAN (address,undefined or thread) CFLAGS
# LDFLAGS PREFIX (/usr/local) DESTDIR TESTS (a pattern for check) RSIO_SEED (for check)
# STATIC (empty: no static rssrv) V (1: show commands)
VERSION  := 0.1
BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
SAN      ?=
V        ?=
ifeq ($(origin CC),default)
CC       := gcc
endif
Q        := $(if $(V),,@)
say       = $(if $(V),,@echo '  $(1)	$@')

# Flags.
WARN     := -Wall -Wextra -Wshadow -Wmissing-prototypes -Werror
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
ifneq ($(SAN),)
# The optimiser's warnings are not to be trusted on instrumented code.
WARN     := $(filter-out -Werror,$(WARN))
HARDEN   := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
HARDEN   += $(if $(findstring thread,$(SAN)),$(if $(findstring gcc,$(CC)),-Wno-tsan))
LDSAN    := -fsanitize=$(SAN)
endif
PACKAGES := fuse3 inih jansson openssl liburing libseccomp libssh
have     := $(strip $(foreach p,$(PACKAGES),$(shell pkg-config --exists $(p) 2>/dev/null && echo $(p))))
missing  := $(filter-out $(have),$(PACKAGES))
PKG_CFLAGS := $(if $(have),$(shell pkg-config --cflags $(have)))
PKG_LIBS := $(if $(have),$(shell pkg-config --libs $(have)))
CPPFLAGS_ALL := -D_GNU_SOURCE -DRSIO_VERSION='"$(VERSION)"' -Ilib $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   := -std=gnu11 -O2 -g $(HARDEN) $(WARN) -pthread $(CFLAGS)
# --as-needed: a program is linked only with the libraries that it calls.
LDFLAGS_ALL  := -pthread $(LDSAN) -Wl,--as-needed -Wl,-z,relro,-z,now $(LDFLAGS)
LDLIBS_ALL   := $(PKG_LIBS) $(LDLIBS)

# What there is to build.
objects   = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)))
LIB_OBJ   := $(call objects,lib/*.c)
AGENT_OBJ := $(call objects,agent/*.c)
FUSEFS_OBJ := $(call objects,fusefs/*.c)
WIZARD_OBJ := $(call objects,wizard/*.c)
OPS_MAINS := $(foreach p,rsconfig rsvol rsagent rsclogcat rsslogcat rsbench,$(wildcard ops/$(p).c))
OPS_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(OPS_MAINS),$(wildcard ops/*.c)))
LIBRSIO   := $(BUILD)/librsio.a
LIBOPS    := $(if $(OPS_OBJ),$(BUILD)/libops.a)
OPS_PROGS := $(patsubst ops/%.c,$(BUILD)/%,$(OPS_MAINS))
# The rssrv that rsagent takes to other hosts: it needs nothing there but Linux.
STATIC    ?= $(if $(SAN),,yes)
STATIC_PROG := $(if $(STATIC),$(BUILD)/rssrv-static)
STATIC_OBJ := $(AGENT_OBJ) $(call objects,agent/static/*.c)
STATIC_PACKAGES := inih jansson openssl libseccomp
PROGS     := $(if $(wildcard agent/main.c),$(BUILD)/rssrv) \
	     $(if $(wildcard fusefs/main.c),$(BUILD)/rsiod) $(OPS_PROGS) \
	     $(if $(wildcard wizard/main.c),$(BUILD)/crsio)

UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT      := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))
TOOLS     := $(patsubst tests/tools/%.c,$(BUILD)/tests/tools/%,$(wildcard tests/tools/*.c))
VERIFY    := $(patsubst tests/verify/%.c,$(BUILD)/tests/%,$(wildcard tests/verify/*.c))
TEST_OBJ  := $(call objects,tests/*.c)
LIBTEST   := $(if $(TEST_OBJ),$(BUILD)/tests/libtest.a)
first_line = $(if $(UNIT_SRC),$(shell awk 'FNR == 1 && /links:.*$(1)/ { print FILENAME }' $(UNIT_SRC)))
UNIT_AGENT  := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(call first_line,agent))
UNIT_FUSEFS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(call first_line,fusefs))
UNIT_OPS    := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(call first_line,ops))
UNIT_WIZARD := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(call first_line,wizard))

ALL_C     := $(wildcard lib/*.c agent/*.c agent/static/*.c fusefs/*.c ops/*.c wizard/*.c tests/*.c tests/unit/*.c tests/tools/*.c tests/verify/*.c)
ALL_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(ALL_C))
SCRIPTS   := $(wildcard .ci/run dist/*.sh tests/*.sh tests/*/*.sh bench/*.sh)
PAGES     := $(wildcard man/*.[1-9])

.PHONY: all programs tests bench bench-full bench-cost bench-plot demo demo-stop check check-long check-asan check-tsan \
	check-valgrind check-vm lint install uninstall clean help FORCE
.DELETE_ON_ERROR:

all: programs
programs: $(LIBRSIO) $(PROGS) $(STATIC_PROG)
tests: programs $(UNIT) $(TOOLS) $(VERIFY)

# Rules.
# Other flags or another compiler: everything is built anew.
FLAGS_NOW := $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(LDLIBS_ALL)
$(BUILD)/.flags: FORCE
	$(if $(missing),@echo 'pkg-config does not find: $(missing); dist/install-deps.sh as root installs what is needed' >&2; exit 1)
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $@ || \
		printf '%s\n' '$(subst ','\'',$(FLAGS_NOW))' >$@

$(BUILD)/%.o: %.c $(BUILD)/.flags
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# What rsagent deploy writes on a host.
$(BUILD)/deploy_unit.inc: dist/rssrv.service $(BUILD)/.flags
	$(Q)sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $< >$@
$(BUILD)/lib/deploy_unit.o: $(BUILD)/deploy_unit.inc
$(BUILD)/lib/deploy_unit.o: private CPPFLAGS_ALL += -I$(BUILD)

$(LIBRSIO): $(LIB_OBJ)
$(BUILD)/libops.a: $(OPS_OBJ)
$(BUILD)/tests/libtest.a: $(TEST_OBJ)
$(LIBRSIO) $(BUILD)/libops.a $(BUILD)/tests/libtest.a:
	$(call say,AR)
	$(Q)rm -f $@ && ar rcs $@ $^

# What calls stands before what is called.
archives = $(filter %/libops.a,$^) $(filter-out %/libops.a,$(filter %.a,$^))
link = $(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(archives) $(1) $(LDLIBS_ALL)

$(BUILD)/rssrv: $(AGENT_OBJ) $(LIBRSIO)
$(BUILD)/rsiod: $(FUSEFS_OBJ) $(LIBRSIO)
$(BUILD)/crsio: $(WIZARD_OBJ) $(LIBRSIO)
$(BUILD)/rssrv $(BUILD)/rsiod $(BUILD)/crsio:
	$(call say,LINK)
	$(call link)
$(BUILD)/rssrv-static: $(STATIC_OBJ) $(LIBRSIO)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS_ALL) -static-pie -Wl,--fatal-warnings,--wrap=dlopen,-S -o $@ \
		$(STATIC_OBJ) $(LIBRSIO) $(shell pkg-config --static --libs $(STATIC_PACKAGES)) || { \
		echo 'A library has no static form here; make STATIC= does without $@, which only rsagent needs.' >&2; exit 1; }
$(OPS_PROGS): $(BUILD)/%: $(BUILD)/ops/%.o $(LIBOPS) $(LIBRSIO)
	$(call say,LINK)
	$(call link)

# A unit test whose first line says "links: agent" gets that program's objects.
$(UNIT_AGENT): $(filter-out %/main.o,$(AGENT_OBJ))
$(UNIT_FUSEFS): $(filter-out %/main.o,$(FUSEFS_OBJ))
$(UNIT_OPS): $(LIBOPS)
$(UNIT_WIZARD): $(filter-out %/main.o,$(WIZARD_OBJ))
$(UNIT): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(LIBTEST) $(LIBRSIO)
	$(call say,LINK)
	$(call link,-lcmocka)
$(BUILD)/tests/tools/client_change: $(LIBOPS)
$(TOOLS): $(BUILD)/tests/tools/%: $(BUILD)/tests/tools/%.o $(LIBRSIO)
$(VERIFY): $(BUILD)/tests/%: $(BUILD)/tests/verify/%.o $(LIBRSIO)
$(TOOLS) $(VERIFY):
	$(call say,LINK)
	$(call link)

-include $(ALL_OBJ:.o=.d)
include tests/fuzz/fuzz.mk

compile_commands.json: $(ALL_C) Makefile
	@{ printf '['; sep=; for f in $(ALL_C); do \
		printf '%s\n{"directory": "%s", "file": "%s", "command": "%s"}' "$$sep" '$(CURDIR)' "$$f" \
		'$(subst ",\\\",$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL)) -c '"$$f"; sep=,; \
	done; printf '\n]\n'; } >$@

# Tests.
# A second make builds: what the first one installed was not there when it
# looked for libraries.
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
check:
	@dist/install-deps.sh check
	+@$(SUBMAKE) tests
	@BUILD='$(BUILD)' tests/run.sh $(TESTS)
check-long:
	@dist/install-deps.sh check
	+@$(SUBMAKE) tests
	@BUILD='$(BUILD)' tests/run.sh --long $(TESTS)
check-asan:
	@dist/install-deps.sh check
	+@$(SUBMAKE) BUILD=build-asan SAN=address,undefined tests
	@BUILD=build-asan tests/run.sh $(TESTS)
check-tsan:
	@dist/install-deps.sh check
	+@$(SUBMAKE) BUILD=build-tsan SAN=thread tests
	@BUILD=build-tsan tests/run.sh $(TESTS)
check-vm:
	@dist/install-deps.sh vm
	+@$(SUBMAKE) programs
	@BUILD='$(BUILD)' JOBS=1 tests/run.sh 'vm/*'
check-valgrind:
	@dist/install-deps.sh valgrind
	+@$(SUBMAKE) tests
	@BUILD='$(BUILD)' tests/run.sh --valgrind $(TESTS)

lint:
	@dist/install-deps.sh lint
	shellcheck -x $(SCRIPTS)
	for p in $(PAGES); do mandoc -T lint -W warning $$p || exit 1; done
	tests/docs/test-include-direction.sh
	+$(SUBMAKE) BUILD=build-clang CC=clang tests

demo:
	@dist/install-deps.sh demo
	+@$(SUBMAKE) all
	@BUILD='$(BUILD)' dist/demo.sh
demo-stop:
	@BUILD='$(BUILD)' dist/demo.sh stop

# Measurements: three interleaved runs, five; the parts of a request; a picture of the last figures.
bench bench-full:
	@dist/install-deps.sh bench
	+@$(SUBMAKE) all
	@bench/bench.py --build '$(BUILD)' --runs $(if $(filter bench-full,$@),5,3)
bench-cost:
	@dist/install-deps.sh bench
	+@$(MAKE) --no-print-directory all
	@bench/cost.py --build '$(BUILD)'
bench-plot:
	@BUILD='$(BUILD)' bench/plot.sh

# Install.
ROOT     := $(DESTDIR)$(PREFIX)
SBIN     := $(ROOT)/sbin
COMPLETE := $(ROOT)/share/bash-completion/completions
UNITS    := $(ROOT)/lib/systemd/system
USERS    := $(ROOT)/lib/sysusers.d
AGENTS   := $(ROOT)/lib/rsio
# As uname -m says it on the hosts that it is for.
AGENT_NAME = rssrv-$(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
page_dir  = $(ROOT)/share/man/man$(patsubst .%,%,$(suffix $(1)))
install: all
	install -d $(SBIN) $(COMPLETE) $(UNITS) $(USERS)
	install -m 755 $(PROGS) $(SBIN)/
	$(if $(STATIC),install -D -m 755 $(STATIC_PROG) $(AGENTS)/$(AGENT_NAME))
	$(foreach p,$(PROGS),$(p) --completion >$(COMPLETE)/$(notdir $(p)) &&) true
	$(foreach p,$(PAGES),install -D -m 644 $(p) $(call page_dir,$(p))/$(notdir $(p)) &&) true
	$(foreach u,$(wildcard dist/*.service),sed 's:/usr/local/sbin/:$(PREFIX)/sbin/:' $(u) >$(UNITS)/$(notdir $(u)) &&) true
	install -m 644 dist/rsio.sysusers $(USERS)/rsio.conf
uninstall:
	rm -f $(PROGS:$(BUILD)/%=$(SBIN)/%) $(PROGS:$(BUILD)/%=$(COMPLETE)/%)
	rm -f $(foreach p,$(PAGES),$(call page_dir,$(p))/$(notdir $(p)))
	rm -f $(AGENTS)/$(AGENT_NAME)
	rmdir $(AGENTS) 2>/dev/null || true
	rm -f $(patsubst dist/%,$(UNITS)/%,$(wildcard dist/*.service)) $(USERS)/rsio.conf

clean:
	rm -rf $(BUILD) build-asan build-tsan build-clang build-fuzz compile_commands.json

help:
	@echo 'all              programs in $(BUILD)/'
	@echo 'tests            programs, unit tests and test tools, built only'
	@echo 'check            install what is missing (as root), build, run the tests; TESTS=PATTERN for some'
	@echo 'check-long       the same with the long tests'
	@echo 'check-asan       with the address and undefined-behaviour sanitizers, in build-asan/'
	@echo 'check-tsan       with the thread sanitizer, in build-tsan/'
	@echo 'check-valgrind   the unit tests, and the tools in ops/ tests, under valgrind'
	@echo 'check-vm         in an emulated machine: systemd, other kernels, rights that this one may lack'
	@echo 'fuzz             fuzzes each target for FUZZ_TIME seconds or FUZZ_RUNS executions (clang)'
	@echo 'check-fuzz       the corpus through each target, with the sanitizers'
	@echo 'lint             shellcheck, mandoc, include directions, a build with clang'
	@echo 'bench            rsio beside its peers, three runs in under ten minutes; bench-full: five runs'
	@echo 'bench-cost       where the time of a request goes, and memory'
	@echo 'bench-plot       draws the figures of the last one'
	@echo 'demo, demo-stop  a server and a client on this machine (as root)'
	@echo 'install          to DESTDIR/PREFIX, default /usr/local; uninstall takes it away'
	@echo 'compile_commands.json  for editors; clean'
	@echo 'Variables: BUILD CC SAN CFLAGS LDFLAGS PREFIX DESTDIR TESTS RSIO_SEED STATIC= V=1'
