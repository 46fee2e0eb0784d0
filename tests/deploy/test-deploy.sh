#!/bin/bash
# A host becomes a server and stops being one: shown first, done, verified, used, done again without a change, taken
# away with the volumes left, and with them.
# shellcheck source=tests/deploy/deploy.sh
. "$(dirname "$0")/deploy.sh"
requires_program rsvol rsbench
requires_fuse

hosts_start 2
host_add s1
host_known s1
before=$(tree s1)

out=$(agent deploy root@s1 --namespace lab --dry-run)
like "$out" 'eth1 +10\.66\.1\.1/24.*portal, port 5000' "what is there is shown"
like "$out" 'makes the user rsio' "and what would be done"
same_tree s1 "$before" "--dry-run changes nothing"
check "not here either" test ! -e "$clt/rscltcfg"

out=$(deploy root@s1 2>&1) || { note "$out"; bail "deploy"; }
like "$out" 'serves over 2 paths' "a server that answers over both networks"
key=$(awk '$1 == "nodekey" { print $3 }' "$clt/rscltcfg")
is "${#key}" 64 "the client has a key of 256 bits"
check "the server the same" on_host s1 grep -q "$key" /etc/rssrvcfg
check_fails 1 "which is not shown" grep -q "$key" <<<"$out"
is "$(on_host s1 stat -c '%a %U:%G' /etc/rssrvcfg /var/lib/rsio /var/lib/rsio/pool | paste -sd' ')" \
	"640 root:rsio 750 rsio:rsio 750 rsio:rsio" "modes and owners"
is "$(tree s1 | diff <(echo "$before") - | sed -n 's/^> //p' | cut -d' ' -f1 | grep -vE '^/(run|var/lib)/rsio' | paste -sd' ')" \
	"/etc/group /etc/gshadow /etc/passwd /etc/rssrvcfg /etc/shadow /usr/local/lib/rsio /usr/local/lib/rsio/deployed.json $(
	on_host s1 readlink /usr/local/sbin/rssrv) /usr/local/sbin/rssrv" "nothing else is there"

# Used.
lab_client
check "a volume is made" on_client rsvol create lab:v1 8M
check "its first block is read" cmp -n 4096 "$clt/mnt/lab/v1" /dev/zero
check "verified load" ws "$BUILD/rsbench" --rw randrw --verify --time 1 --depth 8 "$clt/mnt/lab/v1"

# Again.
now=$(tree s1)
pid=$(on_host s1 cat /run/rsio/rssrv.pid)
out=$(deploy root@s1 --json 2>/dev/null)
is "$(jq -r '.hosts[0] | "\(.done) \(.changed) \(.plan | length)"' <<<"$out")" "true false 0" "a second deploy has nothing to do"
is "$(jq -r '.hosts[0].volumes' <<<"$out")" 1 "and says how many volumes there are"
is "$(diff <(echo "$now") <(tree s1) | grep '^[<>]' | grep -v /run/rsio/rssrv.log)" "" "and changes nothing"
is "$(on_host s1 cat /run/rsio/rssrv.pid)" "$pid" "the server runs on"
on_host s1 chmod 644 /etc/rssrvcfg
out=$(deploy root@s1 --json 2>/dev/null)
is "$(jq -r '.hosts[0].changed' <<<"$out")" true "what somebody changed is mended"
is "$(on_host s1 stat -c '%a %U:%G' /etc/rssrvcfg)" "640 root:rsio" "as it was"
is "$(on_host s1 cat /run/rsio/rssrv.pid)" "$pid" "without a restart"

# Away, but for the volume, another pool beside it, and what is somebody else's.
stop_client "$clt"
on_host s1 sh -ec 'cd /var/lib/rsio; mkdir second; echo x >second/v2.raw; chown -R rsio: second; echo y >pool/mine; chown 4711:4711 pool/mine'
out=$(agent undeploy root@s1 --yes)
like "$out" 'leaves /var/lib/rsio/pool/v1.raw' "undeploy names the volume that stays"
like "$out" 'leaves /var/lib/rsio/second/' "and a directory that may be another pool"
is "$(tree s1 | diff <(echo "$before") - | sed -n 's/^[<>] //p' | grep -v '/pool/\.rsio\.' | cut -d' ' -f1-3)" \
	"/var/lib/rsio removed
/var/lib/rsio drwxr-x--- 0:0
/var/lib/rsio/pool drwxr-x--- 0:0
/var/lib/rsio/pool/mine -rw-r--r-- 4711:4711
/var/lib/rsio/pool/v1.meta -rw------- 0:0
/var/lib/rsio/pool/v1.raw -rw------- 0:0
/var/lib/rsio/second drwxr-xr-x 0:0
/var/lib/rsio/second/v2.raw -rw-r--r-- 0:0" "and nothing else stays, root's now"
check_fails 1 "undeploy again: nothing is there" agent undeploy root@s1 --yes

# Back, with its content.
out=$(deploy root@s1 2>&1) || { note "$out"; bail "deploy onto a pool with volumes"; }
lab_client
check "the volume is back" on_client rsvol info lab:v1
check "and is read" dd if="$clt/mnt/lab/v1" of=/dev/null bs=1M status=none
stop_client "$clt"

on_host s1 touch /var/lib/rsio/pool/notes.txt
check_fails 1 "its volumes go only when the host is named" agent undeploy root@s1 --yes --with-volumes --confirm s2
check "they are there" on_host s1 test -e /var/lib/rsio/pool/v1.raw
check "then they do" agent undeploy root@s1 --yes --with-volumes --confirm s1
check "what is not the server's stays" on_host s1 rm /var/lib/rsio/pool/notes.txt /var/lib/rsio/pool/mine
check "nor what is in another directory" on_host s1 rm -r /var/lib/rsio/second/v2.raw
on_host s1 rmdir /var/lib/rsio/second
on_host s1 rmdir /var/lib/rsio/pool /var/lib/rsio
same_tree s1 "$before" "the host is what it was"

done_testing
