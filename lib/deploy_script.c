/*
 * deploy_script.c - the script that tells what a host is and has.
 *
 * For any POSIX shell, with what every system has: busybox will do, and what lacks is said as
 * not known.  It is read from standard input and is a function as a whole, so that no command
 * in it takes the rest of it for its own input.  It changes nothing.
 *
 * Each line is a word and its values; what may have blanks in it, as a path, comes last; lines of
 * files have a '|' in front.  deploy_facts.c reads them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "deploy.h"
#include "deploy_impl.h"

static const char head[] =
"has() { command -v \"$1\" >/dev/null 2>&1; }\n"
/* Anybody there can make a file, or run a program, whose name has a line's end in it: what stood behind that would be
 * read as a line of this script's. */
"say() { case $* in *\"$nl\"*) ;; *) printf '%s\\n' \"$*\" ;; esac; }\n"
"first() { read -r line <\"$1\" && printf '%s' \"$line\"; }\n"
/* Who and what it is. */
"host() {\n"
"	say \"uid $(id -u)\"; say \"user $(id -un)\"; say \"host $(uname -n)\"\n"
"	say \"machine $(uname -m)\"; say \"kernel $(uname -r)\"; say \"time $(date +%s)\"\n"
"	say \"processors $(grep -c '^processor' /proc/cpuinfo)\"\n"
"	name=$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release); name=${name#\\\"}; say \"system ${name%\\\"}\"\n"
"	say \"account $(id -u rsio || echo -1) $(id -g rsio || echo -1)\"\n"
"	{ has useradd || has adduser; } && say 'has useradd'\n"
"	has sha256sum && say 'has sha256'\n"
"	has ip && say 'has ip'\n"
"	set -- $SSH_CONNECTION; [ -n \"$3\" ] && say \"via $3\"\n"
"	[ -d /run/systemd/system ] || return 0\n"
"	say 'has systemd'\n"
"	systemctl -q is-active rssrv && say 'has active'\n"
"	systemctl -q is-enabled rssrv && say 'has enabled'\n"
"}\n"
/* Files, and what has to be made for them. */
"sum() { if has sha256sum; then s=$(sha256sum <\"$1\"); say \"${s%% *}\"; else say '?'; fi; }\n"
"path() {\n"
"	[ -e \"$1\" ] || [ -L \"$1\" ] || return 0\n"
"	s=$(stat -c '%a %U:%G' \"$1\") || s='? ?'\n"
"	if [ -L \"$1\" ]; then say \"link $(readlink \"$1\" | tr ' ' '?') $1\"\n"
"	elif [ -f \"$1\" ]; then say \"file $s $(sum \"$1\") $1\"\n"
"	elif [ -d \"$1\" ]; then say \"directory $s $1\"\n"
"	elif [ -e \"$1\" ]; then say \"other $1\"; fi\n"
"}\n"
"lacks() {\n"
"	[ -d \"$1\" ] && return\n"
"	d=${1%/*}; [ -z \"$d\" ] || lacks \"$d\"\n"
"	say \"missing $1\"\n"
"}\n"
"place() {\n"
"	d=$1; while [ ! -d \"$d\" ]; do d=${d%/*}; [ -n \"$d\" ] || d=/; done\n"
"	may=w; [ -w \"$d\" ] || may=-\n"
"	df -Pk \"$d\" | { read -r line; read -r line\n"
"		mount=${line##*% }; line=${line%%% *}; set -- $line; free=${4:-?} options=\n"
"		while read -r a m b o c; do [ \"$m\" = \"$mount\" ] && options=$o; done </proc/self/mounts\n"
"		case ,$options, in *,ro,*) may=${may}r ;; esac\n"
"		case ,$options, in *,noexec,*) may=${may}x ;; esac\n"
"		say \"place $may $free $place\"; }\n"
"}\n"
"text() { [ -f \"$2\" ] && [ -r \"$2\" ] && { say \"text $1\"; head -c 1048576 \"$2\" | sed 's/^/|/'; say ''; say 'text end'; }; }\n";

static const char middle[] =
/* The network. */
"links() {\n"
"	ip -o link show | while read -r a name rest; do\n"
"		name=${name%:}; name=${name%%@*}; up=- mtu=0 speed=0\n"
"		case $rest in *,LOWER_UP*|*LOWER_UP,*) up=up ;; esac\n"
"		mtu=${rest#*mtu }; mtu=${mtu%% *}\n"
"		[ -r /sys/class/net/$name/speed ] && speed=$(cat /sys/class/net/$name/speed)\n"
"		[ \"$name\" = lo ] || say \"interface $up ${mtu:-0} ${speed:-0} $name\"; done\n"
"	ip -o addr show scope global | while read -r a name family address rest; do\n"
"		case $family in inet|inet6) say \"address $address $name\" ;; esac; done\n"
"}\n"
"owner() {\n"
"	ls -l /proc/[0-9]*/fd | while read -r line; do case $line in\n"
"		/proc/*) p=${line#/proc/}; p=${p%%/*} ;;\n"
"		*\"socket:[$1]\") say \"$p $(first /proc/$p/comm)\"; break ;; esac; done\n"
"}\n"
"listeners() {\n"
"	grep -hi \": [0-9A-F]*:$(printf %04X \"$port\") [0-9A-F]*:0000 0A \" /proc/net/tcp /proc/net/tcp6 |\n"
"		while read -r a local b c d e f g h inode i; do\n"
"		o=$(owner \"$inode\"); say \"listener ${local%:*} ${o:-0 ?}\"; done\n"
"	grep -hi \": [0-9A-F]*:$(printf %04X \"$port\") [0-9A-F]*:0000 07 \" /proc/net/udp /proc/net/udp6 |\n"
"		while read -r a local b c d e f g h inode i; do\n"
"		o=$(owner \"$inode\"); say \"datagrams ${local%:*} ${o:-0 ?}\"; done\n"
"}\n"
/* Others that serve disks, where they share this network. */
"others() {\n"
"	own=$(readlink /proc/self/ns/net)\n"
"	for p in /proc/[0-9]*; do\n"
"		name=; read -r name <$p/comm || continue\n"
"		case $name in rssrv|rsiod|tgtd|ietd|istgt|scst*|nbd-server|nbdkit|qemu-nbd|multipathd|ksmbd*|drbd*|target_cli*) ;; *) continue ;; esac\n"
"		[ \"$(readlink $p/ns/net)\" = \"$own\" ] || continue\n"
"		say \"process ${p#/proc/} $name $(readlink $p/exe)\"; done\n"
"	for d in /sys/kernel/config/target/iscsi/iqn*; do [ -d \"$d\" ] && say 'note targets of iscsi (LIO) are configured' && break; done\n"
"	for d in /sys/kernel/config/nvmet/ports/*; do [ -d \"$d\" ] && say 'note ports of nvmet (NVMe over fabrics) are configured' && break; done\n"
"}\n"
"named() {\n"
"	if [ -L \"$2\" ]; then say \"$1 ${2#\"$3\"/}\"; elif [ -d \"$2\" ]; then say \"$1 ${2#\"$3\"/}/\"\n"
"	elif [ -e \"$2\" ]; then say \"$1 ${2#\"$3\"/}\"; fi\n"
"}\n"
"pool() {\n"
"	[ -d \"$pool\" ] || return 0\n"
"	for f in \"$pool\"/*.raw \"$pool\"/.rsio.snap/*/*.raw; do\n"
"		[ -f \"$f\" ] && say \"volume $(stat -c %u \"$f\" || echo '?') ${f#\"$pool\"/}\"; done\n"
"	for f in \"$pool\"/.rsio.* \"$pool\"/*.raw \"$pool\"/*.meta \"$pool\"/*.flush-failed; do\n"
"		named pooled \"$f\" \"$pool\"; done\n"
"}\n"
"state() {\n"
"	for f in /var/lib/rsio/* /var/lib/rsio/.[!.]*; do\n"
"		named state \"$f\" /var/lib/rsio; done\n"
"}\n";

static const char tail[] =
"all() {\n"
"	LC_ALL=C; export LC_ALL; umask 077\n"
"	PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin:$PATH; export PATH\n"
"	say \"$mark begin\"; host\n"
"	for f in " DEPLOY_LIB " " DEPLOY_LIB "/rssrv-* " DEPLOY_MANIFEST " " DEPLOY_PROGRAM " " DEPLOY_CONFIG " " DEPLOY_CONFIG_OLD " "
		DEPLOY_UNIT " " DEPLOY_WANTED " " DEPLOY_STATE " " DEPLOY_RUN " \"$pool\" \"$@\"; do path \"$f\"; done\n"
"	for place in " DEPLOY_LIB " /usr/local/sbin /etc /var/lib " DEPLOY_STATE " \"$pool\" \"$@\"; do place \"$place\"; done\n"
"	for d in " DEPLOY_LIB " /usr/local/sbin " DEPLOY_STATE " \"$pool\" \"$@\"; do lacks \"$d\"; done\n"
"	[ -d /run/systemd/system ] && lacks " DEPLOY_WANTS "\n"
"	[ -e " DEPLOY_STAGING " ] && say 'has staging'\n"
"	[ -S " DEPLOY_RUN "/rsiod.sock ] && say 'has rsiod'\n"
"	text config " DEPLOY_CONFIG "; text manifest " DEPLOY_MANIFEST "\n"
"	has ip && links; listeners; others; pool; state\n"
"	say \"$mark end\"\n"
"}\n";

void deploy_quote(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else
			fputc(*text, out);
	}
	fputc('\'', out);
}

char *deploy_script(const struct deploy_ask *ask, const char *marker)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "nl='\n' mark=%s port=%d pool=", marker, ask->port ? ask->port : DEPLOY_PORT);
	deploy_quote(out, ask->pool ? ask->pool : DEPLOY_POOL);
	fprintf(out, "\n%s%s%sall", head, middle, tail);
	for (char *const *more = ask->more_pools; more && *more; more++) {
		fputc(' ', out);
		deploy_quote(out, *more);
	}
	fputs(" </dev/null 2>/dev/null\nexit 0\n", out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
