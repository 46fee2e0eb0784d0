# shellcheck shell=bash
# deploy.sh - for the tests of rsagent deploy: the lab's hosts, rsagent on the workstation
# with a client's directory, $clt, and trees that can be compared.
# shellcheck source=tests/deploy/hosts.sh
. "$(dirname "${BASH_SOURCE[0]}")/hosts.sh"
requires_program rsagent rssrv-static

clt=$W/clt
mkdir -p "$clt/run"

agent()		# COMMAND HOST... [OPTIONS]: rsagent on the workstation; without questions
{
	ws "$BUILD/rsagent" "$1" --config "$clt/rscltcfg" --run-dir "$clt/run" "${@:2}" </dev/null
}

deploy() { agent deploy --namespace lab --yes --no-start "$@"; }	# HOST... [OPTIONS]

# What useradd and userdel keep of the files before theirs, and what only runs, is not compared.
tree() { host_tree "$1" | grep -vE '^/etc/(passwd|group|shadow|gshadow)- |^/run/(utmp|mount) |^/(tmp|run)/sshd'; }	# NAME

same_tree()	# NAME BEFORE TEST-NAME
{
	is "$(diff <(echo "$2") <(tree "$1") | grep '^[<>]')" "" "$3"
}

lab_client()	# starts rsiod on the workstation
{
	NETNS=$WS start_client "$clt"
}

on_client() { ws "$BUILD/$1" --run-dir "$clt/run" "${@:2}"; }	# PROGRAM ARGS...
