#!/bin/bash
# SQLite and PostgreSQL on ext4 on attached volumes, over two servers, while paths and one
# of the servers fail.
# FAULTS='reset killed' in front: only these.
# time-limit: 240
# long-time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/databases.sh"
test_seed

matrix_hosts 2 2
matrix_servers
databases_faults
databases_run "${faults[@]}"
matrix_done
