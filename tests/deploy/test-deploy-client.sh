#!/bin/bash
# time-limit: 150
# The workstation's side of a deploy: a configuration that somebody wrote, a rsiod that runs, two servers at once that
# join it, and leave it.
# shellcheck source=tests/deploy/deploy.sh
. "$(dirname "$0")/deploy.sh"
requires_program rsvol
requires_fuse

hosts_start 1
for h in s1 s2 s3; do
	host_add $h
	host_known $h
done

# By hand: another namespace, of a server that is away, another usual port, and CR LF in places.
cfg=$clt/rscltcfg
mkdir -p "$clt/run"
printf '%s\n' '; the lab, by Hand' '[defaults]' '  port   = 6000   ; as the firewall has it' '  give-up= 3' '' \
	'# what was there before' $'[namespace osl]\r' $'namespaceid=200\r' 'nodename = me' 'nodekey = by-hand-and-long-enough' \
	'  [server gone]' '  address = 10.66.0.77' >"$cfg"
chmod 640 "$cfg"
cp -p "$cfg" "$W/by-hand"
NETNS=$WS start_client "$clt" "$clt/mnt" --no-wait

# Verified before anything stays: this client has no interface that leads there.
before=$(tree s1)
{ printf '%s\n' '[interface x]' 'address = 192.0.2.1'; cat "$W/by-hand"; } >"$W/no-way"
chmod 600 "$W/no-way"
status=0
out=$(deploy --config "$W/no-way" root@s1 2>&1) || status=$?
is "$status" 1 "a server that this host cannot reach is not left there"
like "$out" 'no interface of this host leads there; all .* is undone' "and it is said why"
same_tree s1 "$before" "the host is what it was"

# Shown, and not done.
out=$(deploy root@s1 --dry-run 2>&1) || bail "$out"
like "$out" '^\+\[namespace lab\]$' "--dry-run shows what the file would get"
check "and leaves it" cmp "$W/by-hand" "$cfg"

out=$(deploy root@s1 2>&1) || bail "$out"
key=$(tr -d '\r' <"$cfg" | awk '$1 == "nodekey" { key = $NF } END { print key }')
like "$out" '^\+nodekey *= \(hidden\)$' "the difference is shown, without the key"
like "$out" '^ \[server gone\]$|^   address = 10.66.0.77$' "with what is around it"
check_fails 1 "which is nowhere else either" grep -qE "$key|by-hand-and" <<<"$out"
like "$out" "0 volumes in $clt/mnt/lab" "rsiod has read it"
is "$(diff "$W/by-hand" "$cfg" | grep -c '^<')" 0 "what was in the file stays as it was"
is "$(stat -c %a "$cfg")" 640 "so does its mode"
check "the old one is kept" cmp "$W/by-hand" "$cfg.bak-1"
is "$(grep -A3 '^\[server s1' "$cfg" | grep -c '^ *port *= 5000$')" 1 "a port that is not the file's usual one is written"
check "a volume is made" on_client rsvol create lab:v1 4M
check "and is in the tree" cmp -n 4096 "$clt/mnt/lab/v1" /dev/zero

# Two more into the same namespace, at once: one key for all, nobody's server lost.
out=$(deploy root@s2 root@s3 --json 2>"$W/progress") || bail "$out $(cat "$W/progress")"
is "$(jq -r '[.hosts[].done] | all' <<<"$out")" true "two more hosts join at once"
is "$(tr -d '\r' <"$cfg" | grep -c "^\[server s[123]\]$")" 3 "and all are in the file"
for h in s2 s3; do
	check "$h knows the same key" on_host $h grep -q "$key" /etc/rssrvcfg
done
check "the file is good" "$BUILD/rsiod" --check -c "$cfg"
three_are_up() { [ "$(on_client rsconfig -q --json | jq '[.namespaces[] | select(.name == "lab").servers[] | select(.state == "up")] | length')" = 3 ]; }
check "all three serve" wait_for 10 three_are_up
check "the volume was not interrupted" cmp -n 4096 "$clt/mnt/lab/v1" /dev/zero

# A server that moves takes its place in the file along.
out=$(deploy root@s3 --port 5003 2>&1) || bail "$out"
is "$(grep -A3 '^\[server s3' "$cfg" | grep -c '^ *port *= 5003$')" 1 "another port of a server"
is "$(grep -c '^\[server s3' "$cfg")" 1 "takes the place of the one it had"
check "all three serve" wait_for 10 three_are_up

# Away again.
out=$(agent undeploy root@s2 root@s3 --yes 2>&1) || bail "$out"
is "$(tr -d '\r' <"$cfg" | grep -c '^\[server s[123]\]$')" 1 "servers leave the file"
check "the first one's volume stays" cmp -n 4096 "$clt/mnt/lab/v1" /dev/zero
out=$(agent undeploy root@s1 --yes 2>&1) || bail "$out"
check "with the last one its namespace" cmp "$W/by-hand" "$cfg"
check "and its tree" wait_for 10 test ! -e "$clt/mnt/lab/v1"

# A file that has a mistake, and one that somebody else edits.
printf '[namespac lab]\n' >>"$cfg"
status=0
out=$(deploy root@s1 2>&1) || status=$?
is "$status" 1 "a file with a mistake"
like "$out" 'rscltcfg:13: \[namespac\] unknown section' "is named with its line"
done_testing
