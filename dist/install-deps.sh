#!/bin/bash
# Installs the Debian packages that are missing; does nothing, quickly, when all
# are there.  Usage: install-deps.sh [build|demo|check|lint|valgrind|vm|bench]
set -euo pipefail

build=(gcc libc6-dev make pkg-config libfuse3-dev libinih-dev libjansson-dev
	libssl-dev liburing-dev libseccomp-dev libssh-dev)
run=(fuse3 util-linux mount)
demo=(e2fsprogs)
check=(python3 attr strace libcmocka-dev e2fsprogs xfsprogs btrfs-progs fio sqlite3 jq iproute2 procps
	shellcheck mandoc openssh-client openssh-server sudo busybox dash csh)
lint=(libcmocka-dev clang shellcheck mandoc)
valgrind=(libcmocka-dev valgrind)
# An emulated machine: its kernel is fetched by tests/vm/machine.sh.
vm=(qemu-system-x86 qemu-system-common busybox cpio kmod systemd udev fio e2fsprogs jq iproute2 procps python3)
# The peers that bench compares with, the load, and what draws the plot.
bench=(python3 fio nbdkit nbdkit-plugin-nbd libnbd-bin openssl qemu-utils qemu-system-common qemu-block-extra gnuplot-nox
	linux-perf)

case ${1:-build} in
build) wanted=("${build[@]}") ;;
demo) wanted=("${build[@]}" "${run[@]}" "${demo[@]}") ;;
check) wanted=("${build[@]}" "${run[@]}" "${check[@]}") ;;
lint) wanted=("${build[@]}" "${lint[@]}") ;;
valgrind) wanted=("${build[@]}" "${valgrind[@]}") ;;
vm) wanted=("${build[@]}" "${run[@]}" "${vm[@]}") ;;
bench) wanted=("${build[@]}" "${run[@]}" "${bench[@]}") ;;
*)
	echo "usage: install-deps.sh [build|demo|check|lint|valgrind|vm|bench]" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "install-deps: no Debian here; see that you have what these packages have: ${wanted[*]}" >&2
	exit 0
fi

installed=$(dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' "${wanted[@]}" 2>/dev/null |
	sed -n 's/^installed \([^:]*\).*/\1/p' || true)
missing=()
for p in "${wanted[@]}"; do
	grep -qx -- "$p" <<<"$installed" || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "install-deps: not root, so nothing is installed; missing: ${missing[*]}" >&2
	echo "install-deps: to have them: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 0
fi

# A package may bring a daemon; none is to be started by this.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f $policy' EXIT
fi

echo "install-deps: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
"${apt[@]}" update </dev/null
"${apt[@]}" install --no-install-recommends "${missing[@]}" </dev/null
