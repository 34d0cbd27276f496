# Makes the files of a server where there are none: beside their place, and moved there when they are whole. What was
# cut short is begun anew. What is there is not touched.
set -eu
if [ -s "$PGDATA/PG_VERSION" ]; then exit 0; fi
if [ -d "$PGDATA" ] && ! rmdir "$PGDATA"; then
  echo "error: $PGDATA holds something that is no server's, and is left alone" >&2
  exit 1
fi
rm -rf "$PGDATA.unfinished"
# shellcheck disable=SC2086
printf '%s\n' "$POSTGRES_PASSWORD" |
  initdb --pgdata="$PGDATA.unfinished" --username=postgres --pwfile=/dev/stdin --auth=scram-sha-256 $POSTGRES_INITDB_ARGS
mv "$PGDATA.unfinished" "$PGDATA"
sync
