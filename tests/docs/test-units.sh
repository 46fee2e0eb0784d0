#!/usr/bin/env bash
# The service units are what systemd takes, name options that the programs have, and
# stop in the order: unmount, detach, network.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath "${BUILD:-build}")
command -v systemd-analyze >/dev/null || { echo "skip: systemd-analyze is not installed"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

complain() {
  echo "$1"
  failed=1
}

for unit in dist/*.service; do
  name=$(basename "$unit")
  sed "s:/usr/local/sbin/:$build/:" "$unit" >"$work/$name"
  out=$(systemd-analyze verify --man=no "$work/$name" 2>&1 | grep -F "$name") || true
  [ -z "$out" ] || complain "$out"
  while read -r program options; do
    known=$("$build/$program" --long-options)
    for option in $options; do
      case $option in
        --*) grep -qx -- "$option" <<<"$known" || complain "$unit: $program has no option $option" ;;
      esac
    done
  done < <(sed -n 's:^Exec[A-Za-z]*=-\?/usr/local/sbin/::p' "$unit")
done

# How exposed each may be; the reasons for what is left are in the unit.
exposure() { # UNIT TENTHS
  local out
  out=$(systemd-analyze security --offline=yes --no-pager "--threshold=$2" "$1" 2>&1) ||
    complain "$1 is exposed more than $(($2 / 10)).$(($2 % 10)): $(tail -n 1 <<<"$out")"
}
if systemd-analyze --help | grep -q -- --offline; then
  exposure dist/rssrv.service 20
  exposure dist/rsiod.service 50
else
  echo "the exposure is not measured: this systemd-analyze has no --offline"
fi

has() { # UNIT LINE
  grep -qE "$2" "$1" || complain "$1 has no line $2"
}
# Stopped in the reverse order of starting.
has dist/rsiod.service '^After=.*network-online\.target'
has dist/rsiod.service '^Before=.*remote-fs-pre\.target'
has dist/rsiod.service '^ExecStart=.* --no-wait'
has dist/rsiod.service '^ExecStop=.*rsconfig -m stop$'
exit $failed
