#!/bin/bash
# SQLite and PostgreSQL on ext4 on attached volumes, while paths and the server fail.
# FAULTS='reset killed' in front: only these.
# long: yes
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/databases.sh"
test_seed

matrix_hosts 1 2
matrix_servers
databases_faults
databases_run "${faults[@]}"
matrix_done
