#!/bin/bash
# Somebody on the wire between a real rsiod and a real rssrv, with TLS and without, uses what
# they say: replays it, sends it back to who said it, holds it back, cuts it, offers less in
# the name of the other; and others listen or ask with a key that is not the right one.  Each
# ends with a closed connection and its reason in a log, and both daemons go on over another path.
# time-limit: 150
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_root
requires_fuse
requires_cmd openssl
requires_program rssrv rsiod
export BUILD SCENARIO_SECONDS=120


under_attack()	# auth|tls
{
	local dir=$W/$1 relay impostor

	TEST_SECURITY=$1 write_server_conf "$dir" client=node1 client=node2
	sed -i "s/^node2 .*/node2 $(new_key)/" "$dir/rssrvcfg"
	make_volume "$dir" v 1M
	start_server "$dir" --log-level debug
	relay=$(free_port)
	ports_taken+="$relay "
	impostor=$(free_port)
	mkdir -p "$dir/three"
	cat "$dir/portals" >"$dir/three/portals"
	printf 'osl 200 srv 127.0.0.1 %s\n' "$relay" "$impostor" >>"$dir/three/portals"
	TEST_SECURITY=$1 write_client_conf "$dir/clt" "$dir/three"
	printf '[defaults]\nlearn-portals = no\nprobation = 0\npolicy = round-robin\nretry = 50ms\n' >>"$dir/clt/rscltcfg"
	start_client "$dir/clt"
	scenario "$dir" "$1" "$relay" "$impostor" <"$(dirname "$SELF")/attacks.py"
	stop_client "$dir/clt"
	stop_server "$dir"
}

under_attack tls
under_attack auth
done_testing
