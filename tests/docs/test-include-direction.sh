#!/usr/bin/env bash
# Who may include whom.  An arrow that is not in the tables below is a mistake, and
# so is an outside library that comes in by another door than its own.
#
# A module is a header of lib/ and the files that begin with its name: path.h,
# path_io.c and path_impl.h are "path".
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0

complain() {
  echo "$1"
  failed=1
}

# lib/: module -> modules that it may include, beside err and (but for wire, policy
# and what they need) log.
declare -A may=(
  [err]="" [log]="" [list]="" [notify]="" [crc]="" [policy]="" [shares]="" [histogram]="" [latency]="histogram"
  [loop]="list" [buf]="list" [sock]="" [opt]=""
  [wire]="crc" [secure]="wire" [tls]="secure" [frame]="wire buf crc"
  [inflight]="wire buf list"
  [conf]="opt secure policy shares diff"
  [diff]=""
  [ctl]="sock"
  [confine]=""
  [view]="histogram latency"
  [nic]="sock"
  [discover]="sock wire nic secure"
  # struct command, which a path carries, is declared in mpio.h; nothing else of it is used.
  [path]="frame wire sock secure tls buf crc loop list inflight policy conf mpio histogram"
  [session]="path policy inflight mpio wire loop list conf buf secure"
  [mpio]="session policy wire list conf loop buf histogram"
  [namespace]="session mpio path policy shares conf loop wire list sock secure discover manage histogram latency"
  [manage]="namespace session mpio conf ctl loop wire list secure"
  [probe]="namespace mpio conf loop wire secure"
  [remote]="sock secure" [deploy]="remote conf sock secure" [term]=""
)
without_log=" err log list crc wire policy shares histogram frame inflight "

# Programs: folder -> modules of lib/ that it may not include.  ops is listed by what it may.
declare -A may_not=(
  [fusefs]="term remote deploy"
  [agent]="term remote deploy mpio session path policy inflight namespace manage"
)
declare -A only=(
  [tui]="ctl conf opt remote term view err log"
  [wizard]="conf opt discover nic deploy remote policy ctl term view secure err log"
  [ops/rsconfig]="ctl opt conf policy view err discover nic sock"
  [ops/names]="ctl opt err"
  [ops/rsvol]="ctl opt conf view err latency histogram"
  [ops/rsagent]="opt conf secure remote deploy diff probe ctl view crc err log"
  [ops/rsclogcat]="log opt err"
  [ops/rsslogcat]="log opt err"
)

# Outside libraries: a pattern of system headers -> the files that may include them.
doors=(
  '^(fuse|linux/fuse)'  'fusefs/.*'
  '^liburing'           '(agent/engine_uring|ops/rsbench[a-z_]*)\.c'
  '^seccomp'            'lib/confine_calls\.c'
  '^linux/landlock'     'lib/confine_files\.c'
  '^libssh'             'lib/remote[a-z_]*\.[ch]'
  '^openssl/'           '(lib/(secure|tls|tls_handshake)|agent/static/alone)\.c'
  '^ini\.h'             'lib/conf\.c'
  '^(ncurses|curses)'   'lib/term/.*'
  '^blkid'              'agent/volume[a-z_]*\.c'
  '^jansson'            '(lib/(confine|ctl|latency|view|namespace|session|mpio|manage|deploy|probe)[a-z_]*|fusefs/[a-z_]*|agent/[a-z_]*|ops/[a-z_]*|tui/.*|wizard/.*)\.[ch]'
)
# Of a program's files these never see JSON: they are the data path.
no_json='^(agent/(serve|conn|conn_out|engine|engine_[a-z]*|arena|workers|handle)|fusefs/(io|range|interrupt|request))\.[ch]$'

# Puts into $module the module that a file of lib/ (its path) belongs to.  No
# process is started for an include: there are many.
module_of() {
  module=${1##*/}
  module=${module%.*}
  while [ -z "${may[$module]+known}" ]; do
    case $module in
      *_*) module=${module%_*} ;;
      *) module="?"; return ;;
    esac
  done
}

in_words() {
  case " $2 " in *" $1 "*) return 0 ;; esac
  return 1
}

check_lib() { # file module included-module
  local allowed="${may[$2]} err"
  case $without_log in *" $2 "*) ;; *) allowed="$allowed log" ;; esac
  [ "$2" = "$3" ] || in_words "$3" "$allowed" ||
    complain "$1: $2 may not include $3 (may: $allowed)"
}

check_program() { # file folder included-module
  local stem=${1%.*} list=""
  for key in "${!only[@]}"; do
    case $stem in "$key" | "$key"/* | "$key"_*) list=${only[$key]} ;; esac
  done
  if [ -n "$list" ]; then
    in_words "$3" "$list" || complain "$1: may not include $3 of lib/ (may: $list)"
  elif in_words "$3" "${may_not[$2]-}"; then
    complain "$1: $2/ may not include $3 of lib/"
  fi
}

check_own_include() { # file header
  local file=$1 header=$2 folder=${1%%/*} to
  if [ "$folder" != lib ] && [ -e "$folder/$header" ]; then
    return
  fi
  if [ ! -e "lib/$header" ]; then
    complain "$file: \"$header\" is neither its own nor in lib/"
    return
  fi
  module_of "$header"
  to=$module
  if [ "$to" = "?" ]; then
    complain "$file: lib/$header is in no row of this test's table"
    return
  fi
  case $header in
    *_impl.h) [ "$folder" = lib ] || complain "$file: $header is private to lib/" ;;
  esac
  if [ "$folder" != lib ]; then
    check_program "$file" "$folder" "$to"
    return
  fi
  module_of "$file"
  if [ "$module" = "?" ]; then
    complain "$file is in no row of this test's table"
  else
    check_lib "$file" "$module" "$to"
  fi
}

check_system_include() { # file header
  local i
  for ((i = 0; i < ${#doors[@]}; i += 2)); do
    [[ $2 =~ ${doors[i]} ]] || continue
    [[ $1 =~ ^${doors[i + 1]}$ ]] || complain "$1: <$2> has its one door at ${doors[i + 1]}"
  done
  if [[ $2 == jansson.h && $1 =~ $no_json ]]; then
    complain "$1: JSON on the data path"
  fi
}

shopt -s nullglob
files=(lib/*.[ch] lib/term/*.[ch] fusefs/*.[ch] agent/*.[ch] ops/*.[ch] tui/*.[ch] wizard/*.[ch])
[ "${#files[@]}" -gt 0 ] || complain "no sources"
while IFS=: read -r file line; do
  if [[ $line =~ ^#\ *include\ *\"([^\"]*)\" ]]; then
    check_own_include "$file" "${BASH_REMATCH[1]}"
  elif [[ $line =~ ^#\ *include\ *\<([^\>]*)\> ]]; then
    check_system_include "$file" "${BASH_REMATCH[1]}"
  fi
done < <(grep -HE '^# *include' "${files[@]}")
exit $failed
