#!/bin/bash
# lib/probe: what it says of portals that serve, that do not, and of those of a running rsiod.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_program rssrv rsiod tests/tools/probe

srv=$W/srv clt=$W/clt
write_server_conf "$srv" address=127.0.0.1 address=127.0.0.2
write_client_conf "$clt" "$srv" address=127.0.0.3 address=127.0.0.4
make_volume "$srv" one 1M
make_volume "$srv" two 1M
start_server "$srv"
probe() { "$BUILD/tests/tools/probe" "$@"; }
said() { out=$(probe "$clt/rscltcfg" osl 30); }

said
is "$(grep -c ' read good server=srv volumes=2 volume=one rtt=known: $' <<<"$out")" 4 "every pair serves"
is "$(tail -n 1 <<<"$out")" "4 of 4, 0 without a way" "which is all of them"
like "$out" '^if1 srv-2 127.0.0.2/[0-9]+ ' "each is one interface and one portal"
is "$(grep -c . <<<"$out")" 5 "and is told once"

# Once more: the node name is free again at once.
said
is "$(tail -n 1 <<<"$out")" "4 of 4, 0 without a way" "it can be done again at once"

sed -i 's/^nodekey = .*/nodekey = another/' "$clt/rscltcfg"
said
is "$(grep -cE ' answered server= .*: .*wrong key' <<<"$out")" 4 "another key: there is a server, and it says no"
sed -i "s/^nodekey = .*/nodekey = $TEST_KEY/" "$clt/rscltcfg"

# One portal where nobody listens, one address that is not there.
cp "$clt/rscltcfg" "$W/good"
sed -i "/^\[server srv-2\]/,/^$/ s/^port = .*/port = $(free_port)/" "$clt/rscltcfg"
said
is "$(grep -c ' srv-1 .* read good ' <<<"$out")" 2 "a portal with nobody behind it leaves the others good"
is "$(grep -cE ' srv-2 .* nothing server= .*: .*refused' <<<"$out")" 2 "it says that the connection is refused"
is "$(tail -n 1 <<<"$out")" "2 of 4, 0 without a way" "and is counted"
out=$(probe "$clt/rscltcfg" osl 1 patient)
is "$(grep -cE ' srv-2 .* nothing server= .*: .*refused' <<<"$out")" 2 "with patience it says so at the end"
sed 's/^address = 127.0.0.4/address = 192.0.2.77/' "$W/good" >"$clt/rscltcfg"
said
is "$(grep -c '^if0 .* read good ' <<<"$out")" 2 "an interface that is not there leaves the others good"
is "$(grep -c '^if1 .* no-way ' <<<"$out")" 2 "it says that there is no way from it"
is "$(tail -n 1 <<<"$out")" "2 of 4, 2 without a way" "and is counted so"
out=$(probe "$clt/rscltcfg" osl 1000 patient)
is "$(tail -n 1 <<<"$out")" "2 of 4, 2 without a way" "patience does not help there"
cp "$W/good" "$clt/rscltcfg"

# A server that comes while it is asked.
stop_server "$srv"
probe "$clt/rscltcfg" osl 60 patient >"$W/out" &
waiter=$!
start_server "$srv"
wait $waiter
is "$(tail -n 1 "$W/out")" "4 of 4, 0 without a way" "with patience it waits for a server"

# With a client that is logged in.
start_client "$clt"
wait_for 10 test -e "$clt/mnt/osl/one" || bail "the volume is there"
said
is "$(grep -cE ' in in-use server=srv .*: node name node1 is logged in' <<<"$out")" 4 "a client that is there: the key is right, the name in use"
check "and that one is not disturbed" cmp -n 4096 "$clt/mnt/osl/one" /dev/zero
is "$(grep -c 'started transmit' "$clt/rsiod.out")" 4 "its paths stay as they are"
stop_client "$clt"

stop_server "$srv"
sed -i '/^\[pool/,$d' "$srv/rssrvcfg"
start_server "$srv"
said
is "$(grep -c ' listed good server=srv volumes=0 ' <<<"$out")" 4 "a server without volumes is good"
done_testing
