#!/usr/bin/env bash
# Every option that a program has is in its page's synopsis or list, every option
# in a page exists, and --help shows them all, on any terminal; every program has a page.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
failed=0
checked=0

complain() {
  echo "$1"
  failed=1
}

# Long options that a page names, one a line; mdoc writes "--json" as "Fl \-json" or
# "Fl -json".
options_in_page() {
  grep -E '^\.(It|Op|Fl|Oo|Oc)' "$1" | grep -oE 'Fl \\?-[a-z-]+' | sed 's/Fl \\\?-/--/' | sort -u
}

for program in "$build"/rs* "$build"/crsio; do
  if [ ! -f "$program" ] || [ ! -x "$program" ]; then
    continue
  fi
  name=$(basename "$program")
  [ "$name" != rssrv-static ] || continue  # the same, linked otherwise
  page=$(echo man/"$name".[18])
  if [ ! -e "$page" ]; then
    complain "$name has no page in man/"
    continue
  fi
  options=$("$program" --long-options | sort -u) || complain "$name --long-options fails"
  [ -n "$options" ] || complain "$name --long-options prints nothing"
  help=$("$program" --help) || complain "$name --help fails"
  # A program of commands: each has options and a help of its own.
  while read -r command; do
    read -ra words <<<"$command"
    grep -q "^  $command  " <<<"$help" || complain "$name --help does not name $command"
    grep -qE "^\.(Cm|It Cm|Ss Cm) $command( |$)" "$page" || complain "$page does not name $command"
    options+=$'\n'$("$program" "${words[@]}" --long-options) || complain "$name $command --long-options fails"
    help+=$'\n'$("$program" "${words[@]}" --help) || complain "$name $command --help fails"
  done < <("$program" --commands 2>/dev/null)
  options=$(sort -u <<<"$options")
  named=$(options_in_page "$page")
  for option in $options; do
    grep -q -- "$option\b" <<<"$help" || complain "$name: $option is not in --help"
    # The list has an entry for it: not only a mention.
    grep -qE '^\.It .*Fl \\?-'"${option#--}"'( |$)' "$page" ||
      complain "$name: $option has no entry in $page"
  done
  for option in $named; do
    grep -qx -- "$option" <<<"$options" || complain "$page: $option is no option of $name"
  done
  # The letters, from the help's first column.
  while read -r letter long; do
    grep -qE '^\.It .*Fl '"$letter"' .*Fl \\?-'"$long"'( |$)' "$page" ||
      complain "$page: -$letter is not named with --$long"
  done < <(sed -n 's/^  -\(.\), --\([a-z-]*\).*/\1 \2/p' <<<"$help")
  long=$(grep -E '.{80}' <<<"$help") && complain "$name --help: does not fit 80 columns: $long"
  LC_ALL=C grep -q '[^ -~]' <<<"$help" && complain "$name --help: is not plain ASCII"
  grep -q "See $name([18])" <<<"$help" || complain "$name --help does not name its page"
  checked=$((checked + 1))
done
[ "$checked" -gt 0 ] || complain "no programs in $build/"
exit $failed
