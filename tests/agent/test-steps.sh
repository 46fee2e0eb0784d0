#!/bin/bash
# What rssrv --steps has done is undone to the byte: on request, at the end of the input, when it
# falls silent, after a kill at any call; and stays after the commit.  With make check-long at every call.
# time-limit: 240
# long-time-limit: 900

# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
# shellcheck source=tests/parts.sh
. "$TESTS_DIR/parts.sh"
requires_netns
requires_cmd python3 strace ip useradd
requires_program rssrv

export PYTHONDONTWRITEBYTECODE=1

# The parts at once, each with mounts of its own: one of them waits for 20 s of silence.
parts=(undo kill others odd full users server)
declare -A file=([undo]=change [kill]=change [others]=change [odd]=odd [full]=odd [users]=host [server]=host)
for part in "${parts[@]}"; do
	mkdir "$W/$part"
	start_part "$part" python3 "$(dirname "$SELF")/steps_${file[$part]}.py" "$W/$part" "$BUILD/rssrv" "$part"
done
end_parts "${parts[@]}"
done_testing
