# $1 is the data of a backup: starts a server on the dump, in $SCRATCH, and compares how many keys it has.
set -eu
rm -rf "$SCRATCH/redis"
mkdir "$SCRATCH/redis"
cp "$1/dump.rdb" "$SCRATCH/redis/dump.rdb"
ask() { redis-cli -e -s "$SCRATCH/redis/socket" "$@"; }
stop() { ask SHUTDOWN NOSAVE >/dev/null 2>&1 || true; }
trap stop EXIT
trap 'exit 1' HUP INT TERM
redis-server --port 0 --unixsocket "$SCRATCH/redis/socket" --dir "$SCRATCH/redis" --dbfilename dump.rdb --save '' \
  --appendonly no --daemonize yes --logfile "$SCRATCH/redis/log" --pidfile "$SCRATCH/redis/pid" >/dev/null
left=3000
until [ "$(ask PING 2>/dev/null)" = PONG ]; do
  left=$((left - 1))
  if [ "$left" -le 0 ] || grep -q -i -e fatal -e abort -e exiting "$SCRATCH/redis/log"; then
    tail -n 3 "$SCRATCH/redis/log" >&2
    exit 1
  fi
  sleep 0.2
done
said="$(redis-check-rdb "$1/dump.rdb")"
keys="$(printf '%s\n' "$said" | sed -n 's/^\[info\] \([0-9]*\) keys read$/\1/p')"
expiring="$(printf '%s\n' "$said" | sed -n 's/^\[info\] \([0-9]*\) expires$/\1/p')"
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
