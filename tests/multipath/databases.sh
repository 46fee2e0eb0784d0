# shellcheck shell=bash
# databases.sh - for test-databases-*.sh: source it.  ext4 on attached volumes, with SQLite
# and PostgreSQL committing while faults come and go; afterwards each commit that was
# acknowledged is there, as the other client reads it, and the file systems are clean.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/matrix.sh"
requires_loop
requires_cmd mkfs.ext4 e2fsck
probation=0	# or nothing would be noticed of the next failure of a path that had some

postgres_bin()	# where the newest one is
{
	local d

	for d in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) "$(dirname "$(command -v initdb)")"; do
		[ ! -x "$d/initdb" ] || { echo "$d"; return; }
	done
	return 1
}

pg=''
if id postgres >/dev/null 2>&1 && command -v psql setpriv >/dev/null; then
	pg=$(postgres_bin) || pg=''
fi
as_postgres() { exec setpriv --reuid=postgres --regid=postgres --clear-groups env HOME="$W/home" "$@"; }	# COMMAND...: in a subshell

declare -A kind_of=() writers_of=()
volumes=()

database()	# VOLUME KIND WRITERS
{
	volumes+=("$1")
	kind_of[$1]=$2
	writers_of[$1]=$3
	truncate -s "$(sample_or_all 192M 1G)" "$W/pool/$1.raw"
}

# Device names are everybody's.
sq=sq$$ ps=ps$$
mkdir -p "$W/pool"
database $sq sqlite 2
if [ -n "$pg" ]; then
	database $ps postgres 4
else
	ok "PostgreSQL # SKIP it is not installed, with its user"
fi

fs() { echo "$W/fs-$1"; }	# VOLUME
db() { if [ "${kind_of[$1]}" = postgres ]; then echo "host=$W/socket dbname=postgres user=postgres"; else echo "$(fs "$1")/db.$2.sqlite"; fi; }	# VOLUME WRITER
journal() { if [ "$1" = 1 ]; then echo wal; else echo "delete"; fi; }	# WRITER: the ways that SQLite has

attach()	# CLIENT VOLUME
{
	wait_for 10 test -e "$W/c$1/mnt/osl/$2" && rsconfig "$1" -a "osl:$2" >/dev/null && [ -b "/dev/av0/$2" ]
}

mount_database()	# VOLUME
{
	mkdir -p "$(fs "$1")"
	mount "/dev/av0/$1" "$(fs "$1")"
}

unmount_database()	# VOLUME; for the end too
{
	! mountpoint -q "$(fs "$1")" || umount "$(fs "$1")"
}

make_database()	# VOLUME
{
	attach 1 "$1" || bail "$1 is attached"
	mkfs.ext4 -q "/dev/av0/$1"
	cleanup_fn unmount_database "$1"
	mount_database "$1"
	[ "${kind_of[$1]}" = postgres ] || return 0
	mkdir "$W/socket"
	chown postgres: "$(fs "$1")" "$W/socket"
	chmod 711 "$W" "$W/socket"
	(as_postgres "$pg/initdb" -D "$(fs "$1")/data" -A trust --no-instructions) >"$W/initdb.out" 2>&1 ||
		{ show_output "$W/initdb.out"; bail "initdb"; }
	start_postgres "$1"
}

postgres_ready() { psql -XAtq -c 'select 1' "$(db $ps 1)" >/dev/null 2>&1; }

start_postgres()	# VOLUME
{
	cleanup_fn stop_postgres
	as_postgres "$pg/postgres" -D "$(fs "$1")/data" -k "$W/socket" -c listen_addresses= -c shared_buffers=16MB \
		-c checkpoint_timeout=30s -c dynamic_shared_memory_type=mmap >>"$W/postgres.out" 2>&1 </dev/null &
	postgres_pid=$!
	wait_for 60 postgres_ready || { show_output "$W/postgres.out"; bail "PostgreSQL starts"; }
}

stop_postgres()	# at once: what it was sure of is on its disk
{
	[ -n "${postgres_pid:-}" ] || return 0
	kill -QUIT "$postgres_pid" 2>/dev/null || true
	wait "$postgres_pid" || true
	postgres_pid=''
}

each_writer()	# COMMAND...: with VOLUME KIND WRITER at its end
{
	local v w

	for v in "${volumes[@]}"; do
		for ((w = 1; w <= writers_of[$v]; w++)); do
			"$@" "$v" "${kind_of[$v]}" $w
		done
	done
}

commits()	# WHAT VOLUME KIND WRITER: sets the command
{
	local name
	name=$(db "$2" "$(journal "$4")")

	commits=(python3 "$TESTS_DIR/multipath/commits.py" "$1" "$3" "$name" "$W/$3-$4.log" "$4")
}

make_table()	# VOLUME KIND WRITER
{
	[[ $2-$3 == postgres-[2-9] ]] || { commits make "$@" && "${commits[@]}"; }
}

commits_start()	# VOLUME KIND WRITER
{
	commits write "$@"
	run_traffic "$2-$3" "${commits[@]}"
}

committed() { if [ -e "$W/$1-$2.log" ]; then wc -l <"$W/$1-$2.log"; else echo 0; fi; }	# KIND WRITER
committed_more() { [ "$(committed "$1" "$2")" -gt "$3" ]; }

commits_go_on()	# VOLUME KIND WRITER
{
	try_for 40 committed_more "$2" "$3" $(($(committed "$2" "$3") + 2)) && return
	not_ok "$fault: commits of $2, writer $3, go on"
	show_output "$W/$2-$3.out"
}

commits_end()	# VOLUME KIND WRITER
{
	local pid=${traffic_pid[$2-$3]} status=0 line

	kill -TERM "$pid" 2>/dev/null || true
	wait_for 60 gone "$pid" || bail "the writer ends"
	wait "$pid" || status=$?
	unset "traffic_pid[$2-$3]"
	line="$fault: $2, writer $3: $(tail -n 1 "$W/$2-$3.out")"
	if [ "$fault" = long-outage ]; then
		is "$([ $status != 0 ] && echo failed)" failed "$line"	# after give-up there are errors
	elif [ $status = 0 ]; then
		ok "$line"
		note "| $line"
	else
		not_ok "$line"
		show_output "$W/$2-$3.out"
	fi
}

commits_check()	# VOLUME KIND WRITER
{
	local out

	commits check "$@"
	if out=$("${commits[@]}" 2>&1); then
		ok "$2, writer $3: $out"
	else
		not_ok "$2, writer $3"
		note "$out"
	fi
}

# Databases and file systems are closed, and opened by the other client: nothing comes
# from a cache of the first.  $1: how e2fsck looks first, -fn when there is nothing to mend.
moved()		# CLIENT FSCK-OPTIONS
{
	local v

	stop_postgres
	for v in "${volumes[@]}"; do
		check "$v is unmounted" unmount_database "$v"
		check "and detached" rsconfig $((3 - $1)) -d "osl:$v"
		attach "$1" "$v" || bail "client $1 attaches $v"
		[ "$2" = -fn ] || e2fsck "$2" "/dev/av0/$v" >/dev/null || true
		check "$v: e2fsck finds nothing wrong, as client $1 reads it" e2fsck -fn "/dev/av0/$v"
		mount_database "$v"
		[ "${kind_of[$v]}" != postgres ] || start_postgres "$v"
	done
	each_writer commits_check
}

databases_run()	# FAULT...
{
	local v

	matrix_clients 2
	for v in "${volumes[@]}"; do
		make_database "$v"
	done
	each_writer make_table
	for fault; do
		dice 2
		rsconfig 1 -m policy osl "$([ "$dice" = 0 ] && echo adaptive || echo round-robin)"
		each_writer commits_start
		each_writer commits_go_on
		dice "$n_servers"
		sick=$((dice + 1))
		"fault_${fault//-/_}"
		[ "$fault" = long-outage ] || each_writer commits_go_on
		each_writer commits_end
		wait_for 20 all_paths_up || not_ok "$fault: all paths are back"
	done
	if [ "$fault" = long-outage ]; then
		moved 2 -fp
	else
		moved 2 -fn
	fi
}

loads_told() { :; }
late()		# COMMAND...: as in matrix.sh, but commits go on
{
	sleep 3
	"$@"
}

# All that is in matrix.sh; or one of them, or $FAULTS.
databases_faults()	# sets faults
{
	if [ -n "${FAULTS:-}" ]; then
		read -ra faults <<<"$FAULTS"
	elif [ -z "${RSIO_LONG:-}" ]; then
		dice ${#faults[@]}
		faults=("${faults[dice]}")
	fi
}
