#!/bin/bash
# The checker that other tests rely on finds each kind of damage.
# time-limit: 60
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_cmd dd cmp
stamp=$BUILD/tests/stamp
[ -x "$stamp" ] || skip "needs $stamp, which is not built"

truncate -s 256k vol
block() # FROM-FILE FROM TO [BYTES=4096]: copies a block, or its first half
{
	dd if="$1" of=vol bs=512 skip=$(($2 * 8)) seek=$(($3 * 8)) count=$((${4:-4096} / 512)) \
		conv=notrunc status=none
}
verify() { "$stamp" verify vol log --buffered; }
verify_flushed() { "$stamp" verify vol log --buffered --flushed; }
damaged() # NAME REGEX
{
	local out status=0

	out=$(verify) || status=$?
	is "$status" 1 "$1: found"
	like "$out" "$2" "$1: said"
	cp good vol
}

check "blocks are written" "$stamp" write vol log --buffered --blocks 64 --seconds 0.3 --random-size
cp vol old
check "and again" "$stamp" write vol log --buffered --blocks 64 --seconds 0.3
cp vol good
check "what was written is right" verify
is "$(cmp -s old good; echo $?)" 1 "the second run wrote other data"

block old 5 5
damaged "an older block" 'at 20480: older than what was acknowledged'
block good 9 5
damaged "another block's content" 'at 20480: the content of another block'
block old 5 5 2048
damaged "a torn block" 'at 20480: torn or foreign content'
block /dev/zero 0 5
damaged "a block that was lost" 'at 20480: zeroes'

truncate -s 256k vol2
"$stamp" write vol2 log2 --buffered --blocks 64 --seconds 0.2 --volume other >out
block vol2 5 5
damaged "another volume's content" 'at 20480: the content of another volume'
rm log2 && "$stamp" write vol2 log2 --buffered --blocks 64 --seconds 0.2 --writer 2 >out
block vol2 5 5
damaged "another writer's content" 'at 20480: the content of another writer'

# Issued, not acknowledged: both are right; the log is restored from before.
cp log log.before
"$stamp" write vol log --buffered --blocks 64 --seconds 0.2 >out
cp log.before log
damaged "blocks from the future" 'newer than what was issued'

# Only what was flushed counts with --flushed.
rm -f log vol
truncate -s 256k vol
"$stamp" write vol log --buffered --blocks 64 --jobs 1 --seconds 0.2 >out
truncate -s 0 vol
truncate -s 256k vol
check_fails 1 "unflushed data that is gone is a loss" verify
check "but not with --flushed" verify_flushed
"$stamp" write vol log --buffered --blocks 64 --jobs 1 --seconds 0.3 --flush-every 10 >out
truncate -s 0 vol
truncate -s 256k vol
check_fails 1 "flushed data that is gone is a loss with --flushed" verify_flushed

# Two writers, each with its half and a log of its own, who read the other's blocks too.
rm -f log vol
truncate -s 256k vol
halves() { "$stamp" write vol "half$1" --buffered --writer "$1" --first $((32 * ($1 - 1))) --blocks 32 "${@:2}"; }
check "one half is written" halves 1 --seconds 0.2
check "the other is, while the first is read" halves 2 --seconds 0.3 --reads 50 --other half1 --pause 100
check "the first half is right" "$stamp" verify vol half1 --buffered
check "the other too" "$stamp" verify vol half2 --buffered
cp vol good
block good 1 40
check_fails 1 "a block of the wrong half is found in the other" "$stamp" verify vol half2 --buffered
cp good vol
block /dev/zero 0 3
check_fails 1 "who reads the other's half finds what was lost" halves 2 --seconds 5 --reads 90 --other half1
done_testing
