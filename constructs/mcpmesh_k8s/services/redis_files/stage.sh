# $1 is the port, $2 the checksum of the dump on its input: starts a second server on it.
. ./staged.sh
umask 077
mkdir "$folder"
cat > "$folder/dump.rdb"
[ "$(sha256sum < "$folder/dump.rdb")" = "$2  -" ] || { echo "error: the dump did not arrive whole" >&2; exit 1; }
redis-server --port "$port" --bind 127.0.0.1 --dir "$folder" --dbfilename dump.rdb --save '' --appendonly no \
  --repl-diskless-sync yes --repl-diskless-sync-delay 0 --daemonize yes --logfile "$folder/log" \
  --pidfile "$folder/pid" >/dev/null
left=3000
until [ "$(staged PING 2>/dev/null)" = PONG ]; do
  left=$((left - 1))
  if [ "$left" -le 0 ] || grep -q -i -e fatal -e abort -e exiting "$folder/log"; then
    tail -n 3 "$folder/log" >&2
    exit 1
  fi
  sleep 0.2
done
staged INFO keyspace
