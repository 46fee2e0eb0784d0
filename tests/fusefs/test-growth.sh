#!/bin/bash
# test-growth.sh - rsiod and rssrv do not grow by what is done over and over.
# time-limit: 180
# shellcheck disable=SC2034  # for growth.sh
reconnects=100 attaches=20 opens=1000
# shellcheck source=tests/fusefs/growth.sh
. "$(dirname "$0")/growth.sh"
