#!/bin/bash
# time-limit: 200
# rsagent deploy, upgrade and undeploy on eight hosts at once, of which one refuses, one drops
# all packets and one is not who it was: the five others become servers of one client, and
# their trees are what they were at the end.

# shellcheck source=tests/deploy/deploy.sh
. "$(dirname "$0")/deploy.sh"
requires_fuse
requires_cmd jq
requires_program tests/stamp

hosts_start 1
all=() good=(s1 s2 s5 s6 s8)
declare -A before=()
for n in 1 2 3 4 5 6 7 8; do
	host_add "s$n"
	host_known "s$n"
	all+=("root@s$n")
done
for n in "${good[@]}"; do
	before[$n]=$(tree "$n")
done
host_sshd_stop s3
ip -n "$WS" neigh replace "$(host_addr s4)" dev eth0 nud permanent \
	lladdr "$(ip -n "${host_netns[s4]}" -j link show eth0 | jq -r '.[0].address')"
host_link s4 0 lost
on_host s7 sh -c 'rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key'
host_sshd s7

done_of() { jq -r '[.hosts[] | select(.done) | .host] | join(" ")' "$W/json"; }
status=0
start=$SECONDS
deploy --json --timeout 16s "${all[@]}" >"$W/json" 2>"$W/progress" || status=$?
note "eight at once: $((SECONDS - start)) s, the last that was done after $(jq '[.hosts[] | select(.done) | .seconds] | max' "$W/json") s"
is "$status" 1 "three of eight fail"
is "$(done_of)" "${good[*]}" "the others are servers"
for n in s3 s4 s7; do
	like "$(jq -r --arg h $n '.hosts[] | select(.host == $h) | .error + " / " + .next' "$W/json")" '.+ / .+' "$n: why, and what to do"
done
is "$(ws "$BUILD/rsagent" ls --json -q root@s1 root@s8 | jq -r '[.hosts[].done] | map(tostring) | join(" ")')" "true true" \
	"they say what they have"
is "$(grep -c '^\[server ' "$clt/rscltcfg")" 5 "all five are in the client's configuration"
# shellcheck disable=SC2016  # it is awk's
is "$(for n in "${good[@]}"; do on_host "$n" awk '$1 == "serverid" { print $3 }' /etc/rssrvcfg; done | sort -u | wc -l)" 5 "each with a number of its own"
lab_client
for n in "${good[@]}"; do
	on_host "$n" truncate -s 1M "/var/lib/rsio/pool/on-$n.raw"
	on_host "$n" chown rsio: "/var/lib/rsio/pool/on-$n.raw"
done
there() { [ "$(find "$clt/mnt/lab" -name 'on-s*' 2>/dev/null | wc -l)" = 5 ]; }
check "the volumes of all are in the tree" wait_for 20 there
check "and read" cat "$clt"/mnt/lab/on-s1 "$clt"/mnt/lab/on-s8

pids() { for n in "${good[@]}"; do on_host "$n" cat /run/rsio/rssrv.pid; done; }
was=$(pids)
names=("${good[@]/#/root@}")
check "all at once again" deploy -q "${names[@]}"
is "$(pids)" "$was" "changes nothing"
check "an upgrade of all, too" agent upgrade -q --yes "${names[@]}"
is "$(pids)" "$was" "to what they have"
cp "$BUILD/rssrv-static" "$W/newer" && printf newer >>"$W/newer"
"$BUILD/tests/stamp" write "$clt/mnt/lab/on-s5" "$W/log" --blocks 256 --jobs 4 --seconds 120 >"$W/stamp.out" 2>&1 &
writer=$!
cleanup_fn end_process $writer
agent upgrade --json --yes --binary "$W/newer" "${names[@]}" >"$W/json" 2>"$W/progress" && status=0 || status=$?
is "$status $(done_of)" "0 ${good[*]}" "an upgrade of all to another one"
is "$(comm -12 <(sort <<<"$was") <(pids | sort))" "" "they are other processes"
status=0
kill $writer && wait $writer || status=$?
is "$status" 0 "no error came to who writes meanwhile"
note "$(tail -n 1 "$W/stamp.out")"
check "and all is as it was written" "$BUILD/tests/stamp" verify "$clt/mnt/lab/on-s5" "$W/log"

# What was changed since does not stay.
check "a client more" ws "$BUILD/rsagent" client add -q --node other --to "$W/key" root@s1
# shellcheck disable=SC2016  # it is the editor's
printf '#!/bin/sh\necho "# mine" >>"$1"\n' >"$W/editor" && chmod +x "$W/editor"
check "an edited configuration" env "EDITOR=$W/editor" nsenter --net="/run/netns/$WS" "$BUILD/rsagent" config -q --edit --yes root@s1 root@s2
check "a new key" ws "$BUILD/rsagent" key rotate -q --config "$clt/rscltcfg" --run-dir "$clt/run" "${names[@]}"
for n in "${good[@]}"; do
	on_host "$n" rm "/var/lib/rsio/pool/on-$n.raw" "/var/lib/rsio/pool/on-$n.meta"
done
check "undeploy of all" agent undeploy -q --yes "${names[@]}"
for n in "${good[@]}"; do
	same_tree "$n" "${before[$n]}" "$n is as it was"
done
done_testing
