# $1 is the port of a second server. It has no password, and answers on the loopback of the pod only.
set -eu
port="$1"
staged() { (unset REDISCLI_AUTH; exec redis-cli -e -h 127.0.0.1 -p "$port" "$@"); }
# shellcheck disable=SC2034
folder="$(redis-cli -e CONFIG GET dir | tail -n 1)/.import"
