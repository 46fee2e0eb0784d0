#!/bin/bash
# test-growth-long.sh - as test-growth.sh, ten times and more as often.
# long: yes
# time-limit: 1200
# shellcheck disable=SC2034  # for growth.sh
reconnects=1000 attaches=1000 opens=10000
# shellcheck source=tests/fusefs/growth.sh
. "$(dirname "$0")/growth.sh"
