#!/usr/bin/env bash
# Every page passes mandoc's checks, refers only to pages that exist, has one sentence
# on a source line, and loses no word to a macro of that name.
set -u
cd "$(dirname "$0")/../.." || exit 1
command -v mandoc >/dev/null || { echo "mandoc is not installed"; exit 77; }
failed=0

complain() {
  echo "$1"
  failed=1
}

shopt -s nullglob
pages=(man/*.[1-9])
[ "${#pages[@]}" -gt 0 ] || complain "no pages in man/"

for page in "${pages[@]}"; do
  out=$(mandoc -T lint -W warning "$page" 2>&1) || true
  [ -z "$out" ] || complain "$out"

  # A full stop, a space and a capital within a line of text: two sentences.
  out=$(grep -nE '^[^.].*[a-z)][.!?] +[A-Z]' "$page" | grep -vE '(e\.g|i\.e)\. ')
  [ -z "$out" ] || complain "$page: two sentences on a line: $out"

  # A heading or item of plain words that begins with No: a macro, which would not be shown.
  out=$(grep -nE '^\.(It|S[hs]) No [a-z]' "$page")
  [ -z "$out" ] || complain "$page: No is a macro here and is not shown, write \\&No: $out"

  # Own pages that are referred to; those of the system are not ours to check.
  while read -r name section; do
    case $name in
      rs*|crsio) [ -e "man/$name.$section" ] || complain "$page: refers to $name($section), which is not in man/" ;;
    esac
  done < <(sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1 \2/p' "$page" | sort -u)

  name=${page#man/}
  section=${name##*.}
  name=${name%.*}
  grep -qi "^\.Dt $name $section\$" "$page" || complain "$page: .Dt does not say $name $section"
  grep -q '^\.Nm '"$name"'$' "$page" || complain "$page: .Nm does not say $name"
done
exit $failed
