#!/usr/bin/env bash
# tests/run.sh: its last line counts, the command that it names for a failure repeats
# that failure alone, and a commit chooses the seed.  In a tree of its own, with tests
# that say what they were given.
set -u
cd "$(dirname "$0")/../.." || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

complain() {
  echo "$1"
  failed=1
}

mkdir -p "$scratch"/tests/{docs,unit} "$scratch/other/tests"
cp tests/run.sh "$scratch/tests/"
printf '#!/bin/sh\n' >"$scratch/tests/sweep.sh" # these tests leave nothing behind
chmod +x "$scratch/tests/sweep.sh"
cd "$scratch" || exit 1
unset RSIO_SEED BUILD JOBS KEEP TAIL
export GIT_CEILING_DIRECTORIES=$scratch

mark="long: yes" # not at a line's beginning, where it would speak of this test

add() { # file name: a test that fails and says what it was given
  cat >"$1" <<END
#!/bin/sh
# $mark
echo "not ok 1 - \$0 RSIO_SEED=\$RSIO_SEED MALLOC_PERTURB_=\$MALLOC_PERTURB_"
exit 1
END
  chmod +x "$1"
}
add tests/docs/test-long.sh
printf '#!/bin/sh\necho "ok 1 - well"\n' >tests/docs/test-short.sh
chmod +x tests/docs/test-short.sh
for name in test_a test_ab; do # one's name is a part of the other's
  echo "/* $mark */" >"tests/unit/$name.c"
  add "other/tests/$name"
done

last() {
  tail -n 1 <<<"$1"
}

said() { # what a test called so said in the output
  grep -oE "not ok 1 - [^ ]*/$1 .*" <<<"$2"
}

out=$(tests/run.sh 2>&1) || complain "without --long it fails: $out"
[ "$(last "$out")" = "1 passed, 0 failed, 0 skipped" ] || complain "the short one alone ends on: $(last "$out")"
out=$(BUILD=other RSIO_SEED=77 tests/run.sh --long 2>&1) && complain "three fail, and it succeeds"
[ "$(last "$out")" = "1 passed, 3 failed, 0 skipped" ] || complain "all end on: $(last "$out")"

for name in docs/test-long.sh unit/test_a unit/test_ab; do
  command=$(sed -n "s|^ *alone: \(.* $name\)\$|\1|p" <<<"$out")
  [ -n "$command" ] || complain "no command repeats $name"
  again=$(env bash -c "$command" 2>&1)
  [ "$(last "$again")" = "0 passed, 1 failed, 0 skipped" ] ||
    complain "\"$command\" does not run it alone: $(last "$again")"
  was=$(said "${name#*/}" "$out")
  [ -n "$was" ] || complain "$name said nothing"
  [ "$(said "${name#*/}" "$again")" = "$was" ] || complain "\"$command\" gives another failure: $again, not $was"
done

# The seed.
first() {
  tests/run.sh docs/test-short.sh | head -n 1
}

[ "$(first)" = RSIO_SEED=1 ] || complain "without git the seed is not 1 but $(first)"
[ "$(RSIO_SEED=0019 first)" = RSIO_SEED=19 ] || complain "a seed that is given is not taken"
if command -v git >/dev/null; then
  git init -q . && git -c user.name=test -c user.email=test@localhost commit -q --allow-empty -m test
  hash=$(git rev-parse HEAD)
  [ "$(first)" = "RSIO_SEED=$((16#${hash:0:7}))" ] || complain "the seed of commit $hash is $(first)"
fi
RSIO_SEED=1x tests/run.sh >/dev/null 2>&1
[ $? = 2 ] || complain "a seed that is no number is taken"
exit $failed
