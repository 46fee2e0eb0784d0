#!/usr/bin/env bash
# rsio-protocol(7) has every type, flag, status, record, event and limit of wire.h
# with its number, every status with the errno of wire.c's table, nothing beside
# them, and the login that the unit tests check byte by byte.
set -u
cd "$(dirname "$0")/../.." || exit 1
page=man/rsio-protocol.7
failed=0

complain() {
  echo "$1"
  failed=1
}

# "number name" of each enumerator of one enum, without the prefix.
enumerators() { # enum prefix
  local next=0 name value
  while read -r name _ value; do
    next=${value:-$next}
    echo "$next ${name#"$2"}"
    next=$((next + 1))
  done < <(sed -n "/^enum $1 {/,/^}/p" lib/wire.h | sed 's|/\*.*||' |
    grep -oE '\bWIRE_[A-Z_]+( = [0-9]+)?' | grep -v '_COUNT$')
}

# The cells of the rows of the table under one heading, divided by tabs.
rows() { # heading
  awk -v want="$1" '
    /^\.S[hs] / { inside = ($0 ~ ("^\\.S[hs] " want "$")) }
    inside && /^\.It [0-9A-Z_]+ Ta / { sub(/^\.It /, ""); gsub(/ Ta /, "\t"); print }' "$page"
}

compare() { # what wanted got
  [ "$(wc -l <<<"$2")" -ge 4 ] || complain "$1: the sources were not understood"
  [ "$2" = "$3" ] || {
    complain "$page: the $1 are not those of the sources:"
    diff <(echo "$2") <(echo "$3")
  }
}

numbers_and_names() {
  rows "$1" | awk -F'\t' '{ print $1, $2 }'
}

compare types "$(enumerators wire_type WIRE_)" "$(numbers_and_names TYPES)"
compare flags "$(enumerators wire_flag WIRE_FLAG_)" "$(numbers_and_names Flags)"
compare records "$(enumerators wire_tag WIRE_TAG_)" "$(numbers_and_names RECORDS)"
compare events "$(enumerators wire_event WIRE_EVENT_)" "$(numbers_and_names EVENTS)"
compare statuses "$(enumerators wire_status WIRE_ | sed 's/ E_/ /')" "$(numbers_and_names STATUSES)"

# "NAME errno", from the one table that maps them.
errnos=$(tr '\n\t' '  ' <lib/wire.c |
  grep -oE '\[WIRE_[A-Z_]+\] = \{ *"[a-z-]+", *"[^"]*", *(0|E[A-Z]+) \}' |
  sed -E 's/^\[WIRE_(E_)?([A-Z_]+)\].*[ "](0|E[A-Z]+) \}$/\2 \3/')
compare errnos "$errnos" "$(rows STATUSES | awk -F'\t' '{ print $2, $3 }')"

# Limits are plain numbers or shifts.
limits=$(sed -nE 's/^#define WIRE_([A-Z_]+_MAX) (\([^)]*\)|[0-9]+u?)([ \t].*)?$/\1 \2/p' lib/wire.h |
  grep -vE '^(VOLUME|OPEN|FENCE)_MAX ' |
  while read -r name value; do
    echo "$name $((${value//u/}))"
  done | sort)
compare limits "$limits" "$(rows Limits | awk -F'\t' '{ print $1, $2 }' | sort)"

for extent in DATA HOLE; do
  number=$(sed -nE "s/.*WIRE_EXTENT_$extent = ([0-9]+).*/\1/p" lib/wire.h)
  grep -q "$number for $extent" "$page" || complain "$page: kind of extent $number, $extent, is not named"
done

while read -r line; do
  grep -qx "$line" "$page" || complain "$page: lacks this line of the login: $line"
done < <(grep -oE '"[0-9a-f]{16,}"' tests/unit/login_vectors.h | tr -d '"')
exit $failed
