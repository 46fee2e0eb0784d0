#!/usr/bin/env bash
# Each promise of rsio(7) says what it does not cover and names tests, and each test
# that the page names is one that tests/run.sh can run.
set -u
cd "$(dirname "$0")/../.." || exit 1
page=${1:-man/rsio.7} # another one, to see this test fail
failed=0

complain() {
  echo "$page: $1"
  failed=1
}

section() {
  sed -n '/^\.Sh PROMISES/,/^\.Sh [^P]/p' "$page"
}

names=$(section | sed -nE 's/^\.Pa ([a-z]+\/test[-_][A-Za-z0-9._-]+).*/\1/p' | sort -u)
[ "$(wc -w <<<"$names")" -ge 20 ] || complain "the section PROMISES was not understood"
for name in $names; do
  case $name in
    unit/*) file=tests/$name.c ;;
    *) file=tests/$name ;;
  esac
  [ -e "$file" ] || complain "there is no test $name"
  [ "$name" = "${name%.sh}" ] || [ -x "$file" ] || complain "$file cannot be executed"
done

# Entries at the list's first level, with what each lacks.
lacking=$(section | awk '
  function end() {
    if (promise != "" && !limits) print promise ": does not say what is not covered"
    if (promise != "" && !tests) print promise ": names no test"
  }
  /^\.Bl/ { level++ }
  /^\.El/ { level-- }
  /^\.It / && level == 1 { end(); promise = substr($0, 5); limits = tests = after = 0; count++ }
  /^Not covered: / { limits = 1 }
  /^Tests:$/ { after = 1 }
  /^\.Pa [a-z]+\/test[-_]/ && after { tests++ }
  END { end(); if (count < 6) print "fewer than six promises" }')
[ -z "$lacking" ] || complain "$lacking"
exit $failed
