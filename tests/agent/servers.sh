# shellcheck shell=bash
# servers.sh - for scenarios of several servers on one storage: source it in place of
# agent.sh.
# shellcheck source=tests/agent/agent.sh
. "$(dirname "${BASH_SOURCE[0]}")/agent.sh"
requires_program rssrv

# two_servers DIR: $W/1 and $W/2, srv1 and srv2, both offer DIR/v.raw and DIR/w.raw as
# shared volumes v and w, to node1 and node2.
two_servers()
{
	local i v

	for v in v w; do
		[ -e "$1/$v.raw" ] || truncate -s 16M "$1/$v.raw"
	done
	for i in 1 2; do
		mkdir -p "$W/$i"
		write_server_conf "$W/$i" server=srv$i serverid=$i portals=2 client=node1 client=node2
		for v in v w; do
			printf '\n[volume %s]\npath = %s\nshared = yes\n' $v "$1/$v.raw" >>"$W/$i/rssrvcfg"
		done
		start_server "$W/$i"
	done
}
