# $1 is the data of a backup: restores each dump into a server in $SCRATCH, and compares it with what was counted.
set -eu
here="$(dirname "$0")"
export PGDATA="$SCRATCH/pgdata" PGHOST="$SCRATCH"
rm -rf "$PGDATA"
stop() { pg_ctl --mode=immediate stop >/dev/null 2>&1 || true; }
trap stop EXIT
trap 'exit 1' HUP INT TERM
initdb --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync >/dev/null
pg_ctl --wait --log="$SCRATCH/log" --options="-c listen_addresses='' -c unix_socket_directories='$SCRATCH' -c fsync=off \
  -c shared_buffers=32MB -c max_wal_size=256MB -c autovacuum=off" start >/dev/null || {
  tail -n 5 "$SCRATCH/log" >&2
  exit 1
}
# Policies and rows may name roles.
psql --no-psqlrc --quiet --tuples-only --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres \
  --set=roles="$(cat "$1/roles.json")" <<'SQL'
SELECT format('CREATE ROLE %I', r ->> 'name') FROM json_array_elements(:'roles') AS r
WHERE r ->> 'name' <> current_user \gexec
SQL
for dump in "$1"/*.dump; do
  database="${dump##*/}"
  database="${database%.dump}"
  psql --no-psqlrc --quiet --username=postgres --dbname=postgres --command="CREATE DATABASE \"$database\" TEMPLATE template0"
  # Whose things are is in the dump, and needs no proof here.
  pg_restore --exit-on-error --no-owner --no-privileges --username=postgres --dbname="$database" "$dump"
  POSTGRES_USER=postgres sh "$here/inventory.sh" "$database" "$(cat "$here/inventory.sql")" |
    grep '^\["count"' >"$SCRATCH/found" || true
  grep '^\["count"' "${dump%.dump}.counts" >"$SCRATCH/counted" || true
  if ! [ -s "$SCRATCH/counted" ] || ! diff "$SCRATCH/counted" "$SCRATCH/found" >&2; then
    echo "error: database $database does not hold what was counted" >&2
    exit 1
  fi
  echo "database $database: restored; $(wc -l <"$SCRATCH/found") tables, sequences and the like are the same"
done
