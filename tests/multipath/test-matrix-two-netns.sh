#!/bin/bash
# Two clients of two servers that share their storage, over two to four networks: each
# policy under each fault.  Nothing is lost, stale or torn, and nothing fails while a path
# to one of the servers is left or comes back before give-up; a server that is gone is
# missed for seconds, and one that is stopped until it goes on.
# MATRIX='3 killed round-robin weighted' in front: only these policies with that fault.
# time-limit: 240
# long-time-limit: 1500
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/matrix.sh"
test_seed

matrix_hosts 2 4
matrix_servers
matrix_cells 2
matrix_done
