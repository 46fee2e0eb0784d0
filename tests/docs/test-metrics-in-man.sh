#!/usr/bin/env bash
# Every family of metrics is in rsiod(8), and every one in the page exists.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0
families=$(grep -oE '"rsio_[a-z_]+"' lib/view_metrics.c | tr -d '"' | sort -u)
named=$(sed -n '/^\.Sh METRICS/,/^\.Sh E/p' man/rsiod.8 | grep -oE '\brsio_[a-z_]+' | sort -u)
[ "$(wc -w <<<"$families")" -ge 20 ] || { echo "lib/view_metrics.c was not understood"; failed=1; }
if [ "$families" != "$named" ]; then
  echo "lib/view_metrics.c (<) and man/rsiod.8 (>):"
  diff <(echo "$families") <(echo "$named")
  failed=1
fi
exit $failed
