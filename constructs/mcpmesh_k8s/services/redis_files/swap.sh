# $1 is the port: the first server copies everything from the second, then goes its own way again.
. ./staged.sh
say() { ask -e INFO "$1" | tr -d '\r'; }
# What it receives it loads beside what it holds, from the connection: a copy that fails changes nothing, and no dump
# stays on its disk that it would load one day.
load="$(ask -e CONFIG GET repl-diskless-load | tail -n 1)"
back() {
  ask -e REPLICAOF NO ONE >/dev/null
  ask -e CONFIG SET repl-diskless-load "$load" >/dev/null
}
trap back EXIT
trap 'exit 1' HUP INT TERM
ask -e CONFIG SET repl-diskless-load swapdb >/dev/null
ask -e REPLICAOF 127.0.0.1 "$port" >/dev/null
left=3000
until say replication | grep -q '^master_link_status:up'; do
  left=$((left - 1))
  [ "$left" -gt 0 ] || { echo "error: it did not copy in time" >&2; exit 1; }
  sleep 0.2
done
back
until say persistence | grep -q '^aof_rewrite_in_progress:0' && say persistence | grep -q '^aof_rewrite_scheduled:0'; do
  left=$((left - 1))
  [ "$left" -gt 0 ] || { echo "error: the append-only file was not written in time" >&2; exit 1; }
  sleep 0.2
done
say persistence | grep -q '^aof_last_bgrewrite_status:ok' || { echo "error: the append-only file failed" >&2; exit 1; }
staged INFO keyspace
echo
say keyspace
