# $1 is the data of a backup: reads the dump, starts a server on it, in $SCRATCH, and compares how many keys it has.
set -eu
said="$(redis-check-rdb "$1/dump.rdb")" || {
  printf '%s\n' "$said" | tail -n 3 >&2
  echo "error: the dump cannot be read" >&2
  exit 1
}
keys="$(printf '%s\n' "$said" | sed -n 's/^\[info\] \([0-9]*\) keys read$/\1/p')"
expiring="$(printf '%s\n' "$said" | sed -n 's/^\[info\] \([0-9]*\) expires$/\1/p')"
rm -rf "$SCRATCH/redis"
mkdir "$SCRATCH/redis"
cp "$1/dump.rdb" "$SCRATCH/redis/dump.rdb"
redis-server --port 0 --unixsocket "$SCRATCH/redis/socket" --dir "$SCRATCH/redis" --dbfilename dump.rdb --save '' \
  --appendonly no --logfile "$SCRATCH/redis/log" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
trap 'exit 1' HUP INT TERM
ask() { redis-cli -e -s "$SCRATCH/redis/socket" "$@"; }
until [ "$(ask PING 2>/dev/null)" = PONG ]; do
  kill -0 "$server" 2>/dev/null || {
    tail -n 3 "$SCRATCH/redis/log" >&2
    exit 1
  }
  sleep 0.2
done
found=0 ending=0
# dbN:keys=K,expires=E,avg_ttl=T
for line in $(ask INFO keyspace | tr -d '\r' | grep '^db' || true); do
  line="${line#*keys=}"
  found=$((found + ${line%%,*}))
  line="${line#*expires=}"
  ending=$((ending + ${line%%,*}))
done
# Keys that expire may have done so.
if [ "$((found - ending))" -ne "$((keys - expiring))" ] || [ "$found" -gt "$keys" ]; then
  echo "error: of $keys keys, $expiring of which expire, the server has $found, $ending of which expire" >&2
  exit 1
fi
echo "a server started on the dump has $found keys, of $keys"
