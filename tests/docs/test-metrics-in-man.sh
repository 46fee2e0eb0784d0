#!/usr/bin/env bash
# Every family of metrics is in its program's page, and every one in the page exists.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0
complain() { echo "$1"; failed=1; }
same()	# FILE PREFIX PAGE
{
  local families named
  families=$(grep -oE "\"$2_[a-z_]+\"" "$1" | tr -d '"' | sort -u)
  # Families of volumes and of clients come from one list.
  if grep -q '"rssrv_" of' "$1"; then
    families=$( (echo "$families"; for of in volume client; do
      grep -oE '"rssrv_" of "_[a-z_]+"' "$1" | sed 's/"rssrv_" of "_\(.*\)"/rssrv_'$of'_\1/'
    done) | sort -u)
  fi
  named=$(sed -n '/^\.Sh METRICS/,/^\.Sh E/p' "$3" | grep -oE "\\b$2_[a-z_]+" | grep -v _info | sort -u)
  [ "$(wc -w <<<"$families")" -ge 20 ] || complain "$1 was not understood"
  [ "$(grep -v _info <<<"$families")" = "$named" ] && return
  complain "$1 (<) and $3 (>):"
  diff <(echo "$families") <(echo "$named")
}
same lib/view_metrics.c rsio man/rsiod.8
same lib/view_metrics_server.c rssrv man/rssrv.8
exit $failed
