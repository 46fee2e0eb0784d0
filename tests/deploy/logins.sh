# shellcheck shell=bash
# logins.sh - for test-login*.sh: source it.  $remote is tests/tools/remote, which logs in and
# does one thing.
# shellcheck source=tests/deploy/hosts.sh
. "$(dirname "${BASH_SOURCE[0]}")/hosts.sh"
remote=$BUILD/tests/tools/remote
[ -x "$remote" ] || skip "needs $remote, which is not built"
unset SSH_AUTH_SOCK SSH_ASKPASS

said=''
login()		# ARGS...: sets said to all that it says; its standard input is the caller's
{
	local status=0

	said=$(ws timeout -k 1 60 "$remote" "$@" 2>&1) || status=$?
	return $status
}

logs_in()	# REGEX NAME ARGS...: it does, and says that
{
	local regex=$1 name=$2
	shift 2
	if login "$@" </dev/null; then
		like "$said" "$regex" "$name"
	else
		not_ok "$name"
		note "$said"
	fi
}

fails()		# ERRNO REGEX NAME ARGS...: with that error, of which each line and its next step are looked at
{
	local code=$1 regex=$2 name=$3
	shift 3
	if login "$@" </dev/null; then
		not_ok "$name"
		note "it succeeds: $said"
	elif ! grep -qx "$code" <<<"$said" || ! grep -qE '^next: .' <<<"$said"; then
		not_ok "$name"
		note "neither $code nor a next step: $said"
	else
		like "$(grep -A1 '^error: ' <<<"$said" | tr '\n' ' ')" "$regex" "$name"
	fi
}
