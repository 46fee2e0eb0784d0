# shellcheck shell=bash
# server.sh - for tests/deploy: source it instead of hosts.sh.  A server on a host of the lab, put
# there by hand, for tests of what looks after servers.
# shellcheck source=tests/deploy/hosts.sh
. "$(dirname "${BASH_SOURCE[0]}")/hosts.sh"

# Client NODE, key KEY, for both.
NODE=ws KEY=$(od -An -vtx1 -N32 /dev/urandom | tr -d ' \n')

server_add()	# NAME [NAMESPACE=osl]: rssrv runs there, with one portal a network and a pool with a volume
{
	local name=$1 namespace=${2:-osl} i

	install -D -m 755 "$BUILD/rssrv-static" "$W/hosts/$name/tmp/rssrv"
	# shellcheck disable=SC2016  # for the shell there
	{
		printf '[namespace %s]\nnamespaceid = 200\n\n[server %s]\nserverid = %d\n\n' "$namespace" "$name" "${host_number[$name]}"
		for ((i = 0; i < host_networks; i++)); do
			printf '[interface if%d]\naddress = %s\n\n' "$i" "$(host_addr "$name" "$i")"
		done
		printf '[clients]\n%s %s\n\n[pool main]\npath = /var/lib/rsio/pool\n' "$NODE" "$KEY"
	} | on_host "$name" sh -ec 'mkdir -p /var/lib/rsio/pool; mv /tmp/rssrv /usr/local/sbin/rssrv; umask 077
		cat >/etc/rssrvcfg; truncate -s 16M "/var/lib/rsio/pool/vol-$(hostname).raw"'
	server_start "$name"
}

server_start() { on_host "$1" rssrv --run-dir /run/rsio </dev/null || bail "rssrv starts on $1"; }	# NAME
server_status() { on_host "$1" rssrv --status --run-dir /run/rsio; }	# NAME
server_pid() { on_host "$1" cat /run/rsio/rssrv.pid; }	# NAME

client_conf()	# NAME...: $W/rscltcfg for these servers
{
	local name i

	{
		for ((i = 0; i < host_networks; i++)); do
			printf '[interface if%d]\naddress = 10.66.%d.254\n\n' "$i" "$i"
		done
		printf '[namespace osl]\nnamespaceid = 200\nnodename = %s\nnodekey = %s\n' "$NODE" "$KEY"
		for name; do
			for ((i = 0; i < host_networks; i++)); do
				printf '\n[server %s-%d]\naddress = %s\n' "$name" "$i" "$(host_addr "$name" "$i")"
			done
		done
	} >"$W/rscltcfg"
	chmod 600 "$W/rscltcfg"
}

rsagent() { ws "$BUILD/rsagent" "$@"; }
