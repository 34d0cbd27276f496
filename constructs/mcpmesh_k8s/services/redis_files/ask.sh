# Asks the server, where it knows users as the one who may everything.
set -eu
ask() { redis-cli ${REDISCLI_USER:+--user "$REDISCLI_USER"} "$@"; }
