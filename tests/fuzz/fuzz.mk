# fuzz.mk - the fuzz targets; part of the Makefile.  tests/fuzz/README.md says more.
#
# Variables: FUZZ_TIME (60, seconds for each target) FUZZ_RUNS (executions instead)
# FUZZ_TARGETS (all)
FUZZ_TIME ?= 60
FUZZ_RUNS ?=
FUZZ_TARGETS ?=
BUILD_FUZZ := build-fuzz
comma     := ,

FUZZ_SRC  := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ      := $(patsubst %.c,$(BUILD)/%,$(FUZZ_SRC))
FUZZ_OBJ  := $(call objects,tests/fuzz/*.c)
# With libFuzzer main() is its; without it the driver's, which replays files.
FUZZ_MAIN := $(if $(findstring fuzzer,$(SAN)),,$(BUILD)/tests/fuzz/driver.o)
FUZZ_LINK := $(if $(findstring fuzzer,$(SAN)),-fsanitize=fuzzer)

.PHONY: fuzz check-fuzz fuzz-programs fuzz-seeds fuzz-coverage clean-fuzz

fuzz-programs: $(FUZZ)
tests: fuzz-programs

$(FUZZ): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/tests/fuzz/fuzz.o $(FUZZ_MAIN) $(LIBRSIO)
	$(call say,LINK)
	$(call link,$(FUZZ_LINK) $(addprefix -Wl$(comma)--wrap=,$(WRAP)))

# What a target needs beside the library, and which calls of it are answered by the target.
$(BUILD)/tests/fuzz/fuzz_ctl: $(BUILD)/fusefs/control.o
$(BUILD)/tests/fuzz/fuzz_ctl: WRAP := loop_call socket connect open_memstream
$(BUILD)/tests/fuzz/fuzz_tls: WRAP := secure_random
FILED := $(BUILD)/tests/fuzz/fuzz_conf $(BUILD)/tests/fuzz/fuzz_log
$(FILED): $(BUILD)/tests/fuzz/memfile.o
$(FILED): WRAP := open close fstat stat read pread posix_fallocate mmap munmap rename unlink
PLAYS := $(addprefix $(BUILD)/tests/fuzz/,fuzz_client fuzz_client_login fuzz_client_tls)
SOCKETS := close shutdown read write recv readv send sendmsg eventfd epoll_create1 epoll_ctl
$(BUILD)/tests/fuzz/fuzz_ctl_server: $(BUILD)/tests/fuzz/memsock.o
$(BUILD)/tests/fuzz/fuzz_ctl_server: WRAP := clock_gettime poll accept4 getsockopt pthread_create \
	pthread_join pthread_cond_clockwait $(SOCKETS)
WORLD := clock_gettime epoll_wait secure_random malloc calloc strdup $(SOCKETS)
$(PLAYS): $(addprefix $(BUILD)/tests/fuzz/,play.o play_order.o play_server.o play_tls.o world.o memsock.o)
$(PLAYS): WRAP := $(WORLD) sock_connect sock_connect_result sock_unacknowledged sock_device_of getifaddrs
$(addprefix $(BUILD)/tests/fuzz/,fuzz_meta fuzz_journal fuzz_steps): $(filter-out %/main.o,$(AGENT_OBJ))
STAGES := $(addprefix $(BUILD)/tests/fuzz/,fuzz_server fuzz_server_login fuzz_server_tls)
$(STAGES): $(addprefix $(BUILD)/tests/fuzz/,stage.o stage_client.o stage_tls.o world.o memsock.o) $(filter-out %/main.o,$(AGENT_OBJ))
$(STAGES): WRAP := $(WORLD) nanosleep workers_submit workers_cancel pthread_create hold_begin hold_pass fsync syncfs

$(BUILD)/tests/fuzz/seeds: $(BUILD)/tests/fuzz/seeds.o $(BUILD)/tests/fuzz/seeds_conf.o $(BUILD)/tests/fuzz/seeds_tls.o $(LIBRSIO)
	$(call say,LINK)
	$(call link)
# The corpus's first inputs anew, after a change of the protocol or of a target's format.
fuzz-seeds: $(BUILD)/tests/fuzz/seeds
	$< tests/fuzz/corpus

-include $(FUZZ_OBJ:.o=.d)

fuzz:
	@command -v clang >/dev/null || { echo "make fuzz needs clang and its libFuzzer" >&2; exit 1; }
	+@$(MAKE) --no-print-directory BUILD=$(BUILD_FUZZ) CC=clang \
		SAN=address,undefined,fuzzer-no-link fuzz-programs
	@BUILD=$(BUILD_FUZZ) tests/fuzz/run.sh '$(FUZZ_TIME)' '$(FUZZ_RUNS)' $(FUZZ_TARGETS)
# The corpus once through each target, with the sanitizers.
check-fuzz:
	+@$(MAKE) --no-print-directory BUILD=build-asan SAN=address,undefined fuzz-programs
	@BUILD=build-asan tests/fuzz/test-fuzz-corpus.sh
# What the corpora reach: the one that is committed and the one of earlier runs.
fuzz-coverage:
	+@$(MAKE) --no-print-directory BUILD=$(BUILD_FUZZ)-cov CC=clang \
		CFLAGS='-O1 -fprofile-instr-generate -fcoverage-mapping' \
		LDFLAGS=-fprofile-instr-generate fuzz-programs
	@BUILD=$(BUILD_FUZZ)-cov tests/fuzz/coverage.sh tests/fuzz/corpus $(BUILD_FUZZ)/corpus

clean: clean-fuzz
clean-fuzz:
	rm -rf $(BUILD_FUZZ) $(BUILD_FUZZ)-cov
