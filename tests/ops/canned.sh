#!/usr/bin/env bash
# canned.sh - for tests that source it: $program against a daemon that answers from a file.
# shellcheck disable=SC2034,SC2154  # nl and failed are for who sources it, program is from there
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
build=${BUILD:-build}
work=$(mktemp -d) || exit 1
failed=0
daemon=

end_daemon() {
  [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null
  daemon=
}
trap 'end_daemon; rm -rf "$work"' EXIT

start_daemon() { # answers on standard input
  end_daemon
  cat >"$work/answers"
  : >"$work/log"
  mkfifo "$work/ready"
  "$build/tests/tools/canned_ctl" "$work/rsiod.sock" "$work/answers" "$work/log" >"$work/ready" &
  daemon=$!
  read -r -t 10 _ <"$work/ready" || { echo "canned_ctl does not start"; exit 1; }
  rm "$work/ready"
}

complain() {
  echo "$1"
  failed=1
}

# Runs the program, compares exit status, standard output and standard error.
expect() { # status, output, errors, arguments...
  local status=$1 out=$2 err=$3
  shift 3
  RSIO_RUN_DIR=$work "$build/$program" "$@" >"$work/out" 2>"$work/err" </dev/null
  local got=$?
  [ $got = "$status" ] || complain "$program $*: status $got, not $status"
  diff <(printf '%s' "$out") "$work/out" >"$work/diff" || complain "$program $*: output: $(cat "$work/diff")"
  diff <(printf '%s' "$err") "$work/err" >"$work/diff" || complain "$program $*: errors: $(cat "$work/diff")"
}

asked() { # the newest request
  [ "$(tail -n 1 "$work/log")" = "$1" ] || complain "asked $(tail -n 1 "$work/log"), not $1"
}

nl=$'\n'
