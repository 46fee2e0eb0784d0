#!/bin/bash
# own-mounts.sh COMMAND... - runs it in a mount namespace of its own, without what other tests have mounted.
#
# Such a namespace begins with a copy of every mount there is.  A file system that its owner unmounts is
# then still there for who looks by its daemon or its loop device, until the last process in here has
# ended: the other test would find its devices busy.
set -eu

if [ "${OWN_MOUNTS:-}" != inside ]; then
	OWN_MOUNTS=inside exec unshare -m --propagation private "$0" "$@"
fi
unset OWN_MOUNTS

# Those below another test's directory, and rsio's trees wherever they are.  The last one first;
# with -l, so that a daemon that is stuck is not waited for.
mapfile -t others < <(awk -v own="${RSIO_TEST_DIR:-/none}/" '
	index($5 "/", own) == 1 { next }
	$5 ~ "^/tmp/rsio-test-" || / - fuse\.rsio / { print $5 }' /proc/self/mountinfo | tac)
for m in "${others[@]}"; do
	# Its path as the kernel writes it: \040 is a blank.
	umount -l "$(printf %b "${m//\\/\\0}")" 2>/dev/null || true
done
exec "$@"
