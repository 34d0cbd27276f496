# $1 is the port of a second server. It has no password, and answers on the loopback of the pod only.
. ./ask.sh
port="$1"
staged() { (unset REDISCLI_AUTH; exec redis-cli -e -h 127.0.0.1 -p "$port" "$@"); }
# shellcheck disable=SC2034
folder="$(ask -e CONFIG GET dir | tail -n 1)/.import"
