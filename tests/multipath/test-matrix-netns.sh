#!/bin/bash
# Two clients of one server, two to four networks: each policy under each fault.  Nothing
# is lost, stale or torn, nothing fails while a path is left or comes back before give-up;
# the longest stalls are printed.
# MATRIX='3 killed round-robin weighted' in front: only these policies with that fault.
# time-limit: 240
# long-time-limit: 1200
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/matrix.sh"
test_seed

matrix_hosts 1 4
matrix_servers
matrix_cells 1
matrix_done
