#!/usr/bin/env bash
# The examples of the configurations' pages, run: the files that are shown are
# taken by --check as they stand, and the file with mistakes is answered with
# just the lines that the page shows.  The samples are taken too.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
umask 077
failed=0

complain() {
  echo "$1"
  failed=1
}

# The page's Nth literal block, as a reader sees it.
block() { # PAGE N
  awk -v want="$2" '
    /^\.Bd -literal/ { n++; inside = 1; next }
    /^\.Ed/ { inside = 0 }
    inside && n == want { gsub(/\\-/, "-"); print }
  ' "$1"
}

accepted() { # PROGRAM FILE WHAT
  "$build/$1" --check -c "$2" >"$scratch/out" 2>&1 && return
  complain "$1 --check refuses $3:"
  cat "$scratch/out"
}

for program in rsiod rssrv; do
  if [ ! -x "$build/$program" ]; then
    echo "skip: $build/$program is not built"
    exit 77
  fi
  case $program in
    rsiod) file=rscltcfg ;;
    rssrv) file=rssrvcfg ;;
  esac
  page=man/$file.5

  install -m 600 "tests/samples/$file" "$scratch/$file"
  accepted $program "$scratch/$file" "the sample $file"

  block "$page" 1 >"$scratch/$file"
  grep -q '^\[namespace' "$scratch/$file" || complain "$page has no first example"
  accepted $program "$scratch/$file" "the first example of $page"

  # The server's second example stands below its first, the client's alone.
  [ $program = rssrv ] || : >"$scratch/$file"
  block "$page" 2 >>"$scratch/$file"
  accepted $program "$scratch/$file" "the second example of $page"

  # "# cat FILE", the file, "# PROGRAM --check …", what it prints.
  block "$page" 3 | sed '1d; /^# '$program' /,$d' >"$scratch/$file"
  block "$page" 3 | sed '1,/^# '$program' /d' >"$scratch/wanted"
  [ -s "$scratch/wanted" ] || complain "$page shows no output of $program --check"
  "$build/$program" --check -c "$scratch/$file" >"$scratch/out" 2>&1
  [ $? -eq 1 ] || complain "$program --check does not end with status 1"
  sed "s|$scratch/|/etc/|" "$scratch/out" | diff "$scratch/wanted" - ||
    complain "$page shows other lines (<) than $program --check prints (>)"
done

block man/rsagent-fleet.5 1 >"$scratch/fleet"
grep -q '^\[namespace' "$scratch/fleet" || complain "man/rsagent-fleet.5 has no example"
"$build/rsagent" apply --check "$scratch/fleet" >"$scratch/out" 2>&1 || complain "rsagent apply --check refuses the fleet's example"
cat "$scratch/out"
exit $failed
