#!/usr/bin/env bash
# What README.md names exists: functions, files, folders, make targets, pages.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0

complain() {
  echo "README.md: $1"
  failed=1
}

# Words in backticks, one a line.
ticked() {
  # shellcheck disable=SC2016
  grep -oE '`[^`]+`' | tr -d '`' | sort -u
}

while read -r word; do
  case $word in
    */*.[ch]|*.[ch]) # a file, with or without its folder
      compgen -G "$word" >/dev/null || compgen -G "*/$word" >/dev/null || complain "no file $word" ;;
    *[!a-z0-9_]*) ;;
    *_*) # a function is defined somewhere: its name at a line's start or behind a type
      grep -qE "^[a-z].*[ *]$word\(" lib/*.[ch] agent/*.[ch] fusefs/*.[ch] || complain "no function $word" ;;
  esac
done < <(sed -n '/^## Follow one read/,/^## What it is built/p' README.md | ticked)

while read -r folder; do
  [ -d "$folder" ] || complain "no folder $folder"
done < <(sed -n '/^## Where to look/,/^## Follow/p' README.md | ticked | grep '/$')

while read -r target; do
  grep -qE "(^|[ :])$target( .*)?:" Makefile || complain "no make target $target"
done < <(grep -oE 'make [a-z-]+`?' README.md | grep -oE '[a-z-]+`?$' | tr -d '`' | grep -vx 'make\|a' | sort -u)

while read -r name section; do
  [ -e "man/$name.$section" ] || complain "no page $name($section)"
done < <(grep -oE '\brs[a-z-]+\([0-9]\)' README.md | sed 's/(\(.\))/ \1/' | sort -u)

while read -r library; do
  case $library in
    Library) ;;
    cmocka) grep -q cmocka Makefile || complain "cmocka is not used" ;;
    OpenSSL) grep -ql '<openssl/' lib/*.c || complain "$library is not used" ;;
    inih) grep -ql '<ini.h>' lib/*.c || complain "$library is not used" ;;
    fuse3) grep -ql '<fuse_lowlevel.h>' fusefs/*.[ch] || complain "$library is not used" ;;
    *) grep -qlE "<(lib)?${library}[./]" lib/*.[ch] agent/*.[ch] fusefs/*.[ch] ops/*.[ch] ||
      complain "$library is not used" ;;
  esac
done < <(sed -n '/^## What it is built/,/^## Limits/p' README.md | sed -n 's/^| \(lib\)\?\([a-z0-9A-Z]*\).*/\2/p')
exit $failed
