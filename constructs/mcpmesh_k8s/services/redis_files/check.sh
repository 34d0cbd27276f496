# Reads a dump from its input, prints what it holds, and fails when its checksum is another.
# From a pipe always: what lies behind /dev/stdin may else be something that cannot be opened.
set -eu
# shellcheck disable=SC2002
cat | redis-check-rdb /dev/stdin
