#!/bin/bash
# test-rsvol-servers.sh - rsvol where two servers of a namespace have pools, and where there are
# two namespaces: each is asked that has what is named, and who could mean several is told.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd jq
requires_program rssrv rsiod rsvol

rsvol() { timeout -k 1 30 "$BUILD/rsvol" --run-dir "$W/clt/run" "$@"; }
says() { rsvol "$@" 2>&1 </dev/null || true; }
up() { [ "$(rsvol pool ls --json 2>/dev/null | jq '.pools | length')" = "$1" ]; }

write_server_conf "$W/srv"
write_server_conf "$W/srv2" server=srv2 serverid=2
sed -i 's/^\[pool main\]/[pool fast]/' "$W/srv2/rssrvcfg"
printf '\n[pool slow]\npath = %s\n' "$W/srv2/slow" >>"$W/srv2/rssrvcfg"
mkdir "$W/srv2/slow"
make_volume "$W/srv2" there 1M
write_client_conf "$W/clt" "$W/srv" "$W/srv2"
start_server "$W/srv"
start_server "$W/srv2"
start_client "$W/clt"
check "two servers" wait_for 10 up 3

# In the order in which they answer.
said=$(says create a 1M)
like "$said" "^rsvol: the volume could be made in 3 pools: .*
rsvol: name one with --pool or its server with --server" "several pools"
is "$(head -n 1 <<<"${said#*pools: }" | tr -s ', ' '\n' | grep -v '^on$' | sort | xargs)" "fast main slow srv srv2 srv2" "each is named"
is "$(says create a 1M --pool fast)" "osl:a: created, 1 MiB in pool fast" "one is named"
is "$(says create b 1M --server srv)" "osl:b: created, 1 MiB in pool main" "or a server with one"
like "$(says create c 1M --server srv2)" "fast.*slow|slow.*fast" "a server with two names them"
like "$(says create c 1M --server srv3)" "^rsvol: no server srv3 of osl is known" "an unknown server"
like "$(says create c 1M --pool none)" "^rsvol: no server of osl that answers has a pool none" "an unknown pool"
like "$(says create a 1M --pool main)" "^rsvol: there is a volume osl:a already, on srv2" "the other server has that name"
like "$(says rename b a)" "^rsvol: there is a volume osl:a already, on srv2" "for another volume, too"
is "$(rsvol ls --json | jq -c '[.volumes[] | [.name, .servers[]]]')" '[["a","srv2"],["b","srv"],["there","srv2"]]' "ls of both"
is "$(rsvol ls --server srv --json | jq -c '[.volumes[].name]')" '["b"]' "ls of one"
is "$(says label there x)" "osl:there: labelled" "what is named decides who is asked"
like "$(says snapshot a b --name one)" "^rsvol: osl:a is on server srv2 and osl:b on srv: volumes of two servers have no moment in common" \
	"a snapshot of volumes of two servers"

# One is silent: the other's answer is shown, and that it is not all is said.
kill -STOP "$(server_pid "$W/srv2")"
cleanup_fn kill -CONT "$(server_pid "$W/srv2")"
check_fails 1 "a server that does not answer is no success" rsvol ls
like "$(says ls)" "srv2: no answer from server srv2 of osl" "it is named"
like "$(says ls)" "^osl:b " "the other's volumes are shown"
kill -CONT "$(server_pid "$W/srv2")"

# Two namespaces.
write_server_conf "$W/srv3" namespace=two id=201 server=srv3
make_volume "$W/srv3" a 2M
start_server "$W/srv3"
stop_client "$W/clt"
write_client_conf "$W/clt" "$W/srv" "$W/srv2" "$W/srv3"
start_client "$W/clt"
check "three servers" wait_for 10 up 4
is "$(says info a)" "rsvol: there are 2 namespaces: which one is meant?
rsvol: name it in front of the volume, as NAMESPACE:VOLUME; rsconfig -q shows them" "a namespace has to be named"
is "$(rsvol info two:a --json | jq .volume.size)" $((2 << 20)) "two:a"
is "$(rsvol info osl:a --json | jq .volume.size)" $((1 << 20)) "osl:a"
is "$(rsvol ls --json | jq -c '[.volumes[] | [.namespace, .name]]')" '[["osl","a"],["osl","b"],["osl","there"],["two","a"]]' "ls of all"
is "$(rsvol ls two --json | jq -c '[.volumes[].name]')" '["a"]' "ls of one namespace"
is "$(says rename two:a osl:b)" "rsvol: a volume stays in its namespace: osl is another than two
Try 'rsvol --help'." "a volume stays where it is"
done_testing
