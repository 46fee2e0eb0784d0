#!/usr/bin/env bash
# Every key that the parser knows has an entry in its file's page, below its
# section, with its default; every key in a page is one that the parser knows.
# The file of hosts has its place in rsagent(8).
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

"$build"/tests/tools/conf-keys >"$scratch/table" || exit 1
if [ "$(wc -l <"$scratch/table")" -lt 40 ]; then
  echo "$build/tests/tools/conf-keys prints no table"
  exit 1
fi

# The page's keys in the table's form: a section is ".Ss [NAME …]", a key an
# ".It Ic KEY"; below it stands "Required." or "Default: …." and, for a key
# without effect, the sentence that says so.
declare -A page=([rscltcfg]=man/rscltcfg.5 [rssrvcfg]=man/rssrvcfg.5 [hosts]=man/rsagent.8 [fleet]=man/rsagent-fleet.5)
keys_in_page() {
  awk -v file="$1" '
    function put() {
      if (key != "")
        printf "%s\t%s\t%s\t%s\t%s\n", file, section, key, need, fallback
      key = ""
    }
    /^\.(Ss|Sh|El)/ { put() }
    /^\.Sh/ { section = "" }
    /^\.Ss/ { section = $2; gsub(/["\[\]]/, "", section) }
    /^\.It Ic / && section != "" {
      put()
      key = $3
      need = "optional"
      fallback = "(not said)"
    }
    /^Required\.$/ { need = "required"; fallback = "none" }
    /^Default: .*\.$/ { fallback = substr($0, 10, length($0) - 10) }
    /^It has no effect in this version, and a warning says so\.$/ { need = "inert" }
  ' "${page[$1]}"
}

for file in rscltcfg rssrvcfg hosts fleet; do
  grep "^$file	" "$scratch/table" | sort >"$scratch/known"
  keys_in_page "$file" | sort >"$scratch/page"
  while IFS=$'\t' read -r _ section key need fallback; do
    echo "${page[$file]} lacks: [$section] $key, $need, default: $fallback"
    failed=1
  done < <(comm -23 "$scratch/known" "$scratch/page")
  while IFS=$'\t' read -r _ section key need fallback; do
    echo "${page[$file]} has what the parser does not: [$section] $key, $need, default: $fallback"
    failed=1
  done < <(comm -13 "$scratch/known" "$scratch/page")
done
exit $failed
