#!/usr/bin/env bash
# Each promise of rsio(7), and each attack of rsio-security(7), says what it does not cover
# and names tests, and each test that the pages name is one that tests/run.sh can run.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0

complain() {
  echo "$page: $1"
  failed=1
}

section() {
  awk -v from="$from" '/^\.Sh / { inside = $0 ~ "^.Sh (" from ")$" } inside' "$page"
}

# PAGE SECTIONS LEAST-TESTS LEAST-ENTRIES LIMITS: the words that say what is not covered
look_at() {
  page=$1 from=$2
  names=$(section | sed -nE 's/^\.Pa ([a-z]+\/test[-_][A-Za-z0-9._-]+).*/\1/p' | sort -u)
  [ "$(wc -w <<<"$names")" -ge "$3" ] || complain "its sections $from were not understood"
  for name in $names; do
    case $name in
      unit/*) file=tests/$name.c ;;
      *) file=tests/$name ;;
    esac
    [ -e "$file" ] || complain "there is no test $name"
    [ "$name" = "${name%.sh}" ] || [ -x "$file" ] || complain "$file cannot be executed"
  done

  # Entries at the list's first level, with what each lacks.
  lacking=$(section | awk -v least="$4" -v words="^$5: " '
    function end() {
      if (promise != "" && !limits) print promise ": does not say what is not covered"
      if (promise != "" && !tests) print promise ": names no test"
      promise = ""
    }
    /^\.Bl/ { level++ }
    /^\.El/ { level-- }
    /^\.It / && level == 1 { end(); promise = substr($0, 5); limits = tests = after = 0; count++ }
    $0 ~ words { limits = 1 }
    /^Tests:$/ { after = 1 }
    /^\.Pa [a-z]+\/test[-_]/ && after { tests++ }
    END { end(); if (count < least) print "fewer than " least " entries" }')
  [ -z "$lacking" ] || complain "$lacking"
}

# Other pages, to see this test fail.
look_at "${1:-man/rsio.7}" PROMISES 20 6 "Not covered"
look_at "${2:-man/rsio-security.7}" "ON THE WIRE|A MALICIOUS CLIENT|A MALICIOUS SERVER|A LOCAL USER" 30 15 "Left open"
exit $failed
