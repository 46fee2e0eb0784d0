/*
 * deploy_boot.c - see deploy_boot.h.
 *
 * THE COMMAND LINE is read by the login shell, whichever that is: csh minds '!', fish a backslash, all of them a
 * quote.  It has none of these, and what it starts is sh, which gets the script as input.
 *
 * THE SCRIPT keeps to what POSIX asks of sh, and is run with dash, busybox and bash; of programs it needs mkdir,
 * rm, rmdir, head, wc, sleep, chmod, cat, grep and uname.  It is one compound command, so that it is read as a whole before
 * the first part of it runs, and ends with exit.
 *
 * It writes down in DIR/made which directories it made, DIR among them; rssrv --steps takes
 * them away again at its end where nothing else is in them, since it may be the only one left to do it.  What a
 * script that was killed has left, a copy whose process is gone, the next one removes.
 *
 * The copy is done when its bytes are as many as were said, with their SHA-256 where the host has a program that
 * computes it; without one `hello` says what --steps computed of itself.  While it comes, somebody looks each
 * second whether it grew: after 20 s without a byte it is ended.  The looker holds no end of the channel open.
 *
 * PIPE, HUP and TERM do not end the shell: it has to clean up.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "deploy_boot.h"

#define SHELL "sh -c 'echo %s shell; exec sh'"

static const char *const commands[] = {
	[DEPLOY_AS_LOGIN] = SHELL,
	[DEPLOY_SUDO] = "sudo -n " SHELL,
	/* -k: or with a password still remembered the one that is sent would go to the shell. */
	[DEPLOY_SUDO_PASSWORD] = "env LC_ALL=C sudo -k -S -p '%s password:' " SHELL,
};

char *deploy_boot_command(enum deploy_sudo sudo, const char *marker)
{
	char *text;

	/* A format with one marker does not look at the second. */
	return asprintf(&text, commands[sudo], marker, marker) < 0 ? NULL : text;
}

static const char script[] =
	"umask 077; LC_ALL=C; PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin; export LC_ALL PATH\n"
	"trap '' PIPE; trap : HUP TERM INT; exec 3<&0; b=$d/rssrv.$$\n"
	/* What is there for this run alone goes. */
	"clean() {\n"
	"  rm -f \"$b\"\n"
	"  for f in \"$d\"/rssrv.* \"$d\"/journal*; do [ -e \"$f\" ] && return; done\n"
	"  [ -e \"$d/made\" ] || return\n"
	"  l=; while read -r p; do l=\"$p $l\"; done <\"$d/made\"\n"
	"  rm -f \"$d/made\"; for p in $l; do rmdir \"$p\" 2>/dev/null || break; done\n"
	"}\n"
	/* Not quoted: several lines become one. */
	"fail() { clean; set -f; echo \"$m failed\" $*; exit 1; }\n"
	/* Of another architecture, it would be read as a script. */
	"[ \"$(uname -m)\" = $a ] || fail machine $(uname -m)\n"
	/* The directories, outer ones first. */
	"l=; p=; IFS=/; set -f; for f in ${d#/}; do\n"
	"  p=$p/$f; [ -d \"$p\" ] || l=\"$l $p\"\n"
	"done; unset IFS; set +f\n"
	"u=; for p in $l; do\n"
	"  v=755; [ \"$p\" = \"$d\" ] && v=700\n"
	"  if e=$(mkdir -m $v \"$p\" 2>&1); then u=\"$p $u\"; else\n"
	"    for q in $u; do rmdir \"$q\"; done; fail directory \"$e\"; fi\n"
	"done\n"
	"for f in \"$d\"/rssrv.*; do [ -e \"$f\" ] && { kill -0 ${f##*.} 2>/dev/null || rm -f \"$f\"; }; done\n"
	"case $l in *\"$d\"*) ;; *) l=\"$l $d\" ;; esac\n"
	"for p in $l; do grep -qxF \"$p\" \"$d/made\" 2>/dev/null || e=$( { echo \"$p\" | cat >>\"$d/made\"; } 2>&1) ||\n"
	"  { [ -z \"$u\" ] || rm -f \"$d/made\"; for q in $u; do rmdir \"$q\"; done; fail directory \"$e\"; }; done\n"
	/* The copy, and somebody who looks whether it grows. */
	"e=$( { : >\"$b\"; } 2>&1) || fail copy \"$e\"\n"
	"echo \"$m send\"\n"
	"e=$(\n"
	"  head -c $n <&3 2>&1 >\"$b\" & c=$!\n"
	"  ( s=0; l=; while [ $s -lt 20 ]; do sleep 1; z=$(wc -c <\"$b\")\n"
	"      if [ \"$z\" = \"$l\" ]; then s=$((s + 1)); else s=0; l=$z; fi; done; echo stalled >\"$b.e\"; kill $c\n"
	"    ) >/dev/null 2>&1 </dev/null 3<&- & w=$!\n"
	"  wait $c; r=$?; kill $w 2>/dev/null; exit $r); r=$?\n"
	"z=$(($(wc -c <\"$b\")))\n"
	"[ -e \"$b.e\" ] && { rm -f \"$b.e\"; fail stalled $z; }\n"
	/* busybox's head has one word for everything; its cat says what it is. */
	"case $e in *I/O*) x=$(cat \"$b\" 2>&1 >\"$b.e\"); rm -f \"$b.e\"; e=\"$e $x\" ;; esac\n"
	"[ $r = 0 ] || fail copy \"${e:-head ended with status $r}\"\n"
	"[ $z = $n ] || fail short $z\n"
	/* Is it what was sent, and does it run here? */
	"s=$h\n"
	"if command -v sha256sum >/dev/null; then s=$(sha256sum <\"$b\")\n"
	"elif command -v shasum >/dev/null; then s=$(shasum -a 256 <\"$b\"); fi\n"
	"[ \"${s%% *}\" = $h ] || fail sha ${s%% *}\n"
	"e=$(chmod 700 \"$b\" 2>&1) || fail copy \"$e\"\n"
	"e=$(\"$b\" --version 2>&1); r=$?\n"
	"case $r$e in 0rssrv*) ;; *) fail run $r \"$e\" ;; esac\n"
	"echo \"$m steps\"\n"
	"\"$b\" --steps \"$d\" <&3; r=$?\n"
	"if [ -e \"$d/journal\" ] || [ -e \"$d/journal.committed\" ]; then \"$b\" --steps-undo \"$d\"; fi\n"
	"clean; exit $r\n";

char *deploy_boot_script(const struct deploy_boot *b)
{
	char *text;

	return asprintf(&text, "{ m=%s d=%s n=%" PRIu64 " h=%s a=%s\n%s}\n", b->marker, b->dir, b->size, b->sha, b->machine,
			script) < 0 ? NULL : text;
}

/*
 * What it says.
 */
static int code_of(const char *text)
{
	static const int codes[] = { ENOSPC, EROFS, EACCES, EPERM, EDQUOT, ENOTDIR, EIO, ENOEXEC };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strstr(text, strerrordesc_np(codes[i])))
			return codes[i];
	return EIO;
}

static void say_next(const struct deploy_boot *b, struct err *e)
{
	switch (e->code) {
	case ENOSPC:
	case EDQUOT:
		err_next(e, "make room for twice %" PRIu64 " KiB there", b->size / 1024 + 1);
		break;
	case EROFS:
		err_next(e, "mount that file system writable");
		break;
	case EACCES:
	case EPERM:
		err_next(e, "log in as root, or as a user who may use sudo");
		break;
	}
}

static void failed(const struct deploy_boot *b, const char *what, struct err *e)
{
	const char *rest = strchr(what, ' ');

	rest = rest ? rest + 1 : "";
	if (strncmp(what, "directory ", 10) == 0) {
		err_set(e, code_of(rest), "cannot make %s there: %s", b->dir, rest);
		say_next(b, e);
	} else if (strncmp(what, "copy ", 5) == 0) {
		err_set(e, code_of(rest), "cannot write rssrv to %s there: %s", b->dir, rest);
		say_next(b, e);
	} else if (strncmp(what, "stalled ", 8) == 0) {
		err_set(e, ETIMEDOUT, "the copy of rssrv stood still for 20 s after %.20s of %" PRIu64 " bytes", rest, b->size);
	} else if (strncmp(what, "short ", 6) == 0) {
		err_set(e, EPIPE, "the copy of rssrv ended after %.20s of %" PRIu64 " bytes", rest, b->size);
	} else if (strncmp(what, "sha ", 4) == 0) {
		err_set(e, EBADMSG, "rssrv did not get there as it is here: its SHA-256 there is %.64s, not %s", rest, b->sha);
	} else if (strncmp(what, "run ", 4) == 0) {
		err_set(e, ENOEXEC, "rssrv does not run there: status %.300s", rest);
		err_next(e, "%s may be mounted noexec there", b->dir);
	} else if (strncmp(what, "machine ", 8) == 0) {
		err_set(e, ENOEXEC, "the host is %.30s, and this rssrv is for %s", rest, b->machine);
	} else {
		err_set(e, EPROTO, "the host said something that is not understood: %.200s", what);
	}
}

enum deploy_boot_says deploy_boot_line(const struct deploy_boot *b, const char *line, struct err *e)
{
	size_t n = strlen(b->marker);

	if (strncmp(line, b->marker, n) != 0 || line[n] != ' ')
		return DEPLOY_BOOT_OTHER;
	line += n + 1;
	if (strcmp(line, "shell") == 0)
		return DEPLOY_BOOT_SHELL;
	if (strcmp(line, "send") == 0)
		return DEPLOY_BOOT_SEND;
	if (strcmp(line, "steps") == 0)
		return DEPLOY_BOOT_STEPS;
	failed(b, strncmp(line, "failed ", 7) == 0 ? line + 7 : line, e);
	return DEPLOY_BOOT_FAILED;
}
