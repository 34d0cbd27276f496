# Asks the server, where it knows users as the one who may everything.
set -eu
# shellcheck disable=SC2086
ask() { redis-cli ${REDIS_TLS:-} ${REDISCLI_USER:+--user "$REDISCLI_USER"} "$@"; }
