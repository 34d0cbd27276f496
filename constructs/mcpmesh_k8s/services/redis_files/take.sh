# $1 is a folder: writes a dump into it, reads it back, and prints what it holds. It asks for the dump as a replica does,
# so nothing is written beside the server, and its claim is not shared. Its user can do that, and reads no key by name.
set -eu
ask() { redis-cli -h "$REDIS_HOST" -p "$REDIS_PORT" --user "$REDIS_USER" --no-auth-warning "$@"; }
left=60
until said="$(timeout 10 redis-cli -e -h "$REDIS_HOST" -p "$REDIS_PORT" --user "$REDIS_USER" --no-auth-warning ping 2>&1)"; do
  left=$((left - 1))
  if [ "$left" -le 0 ]; then
    echo "error: $REDIS_HOST:$REDIS_PORT does not answer: $said" >&2
    exit 1
  fi
  sleep 5
done
ask --rdb "$1/dump.rdb" >/dev/null
said="$(redis-check-rdb "$1/dump.rdb")" || {
  printf '%s\n' "$said" | tail -n 3 >&2
  echo "error: the dump cannot be read" >&2
  exit 1
}
# The first number behind a word in what it said.
number() {
  found="$(printf '%s\n' "$said" | sed -n "s/$1/\\1/p" | head -n 1)"
  [ -n "$found" ] || { echo "error: redis-check-rdb says too little: $said" >&2; exit 1; }
  printf '%s' "$found"
}
end="$(number '^\[offset \([0-9]*\)\] .o\/ RDB looks OK.*$')"
size="$(wc -c <"$1/dump.rdb")"
[ "$((size))" -eq "$end" ] || { echo "error: the dump has $size bytes, and ends after $end" >&2; exit 1; }
printf '{"version":"%s","facts":{"keys":%s,"expiring":%s,"memory":%s}}\n' \
  "$(number ".* redis-ver = '\\([^']*\\)'.*")" "$(number '^\[info\] \([0-9]*\) keys read$')" \
  "$(number '^\[info\] \([0-9]*\) expires$')" "$(number ".* used-mem = '\\([0-9]*\\)'.*")"
