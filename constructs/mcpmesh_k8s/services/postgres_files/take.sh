# $1 is a folder: writes the roles and a dump of each of $DATABASES into it, reads them back, and prints what they hold.
# It does so as a role that can read everything and change nothing. Passwords are in none of it.
. ./psql.sh
here="$(dirname "$0")"
left=60
until said="$(ask --dbname=postgres --command='SHOW server_version' 2>&1)"; do
  left=$((left - 1))
  if [ "$left" -le 0 ]; then
    echo "error: $PGHOST:$PGPORT takes nobody in: $said" >&2
    exit 1
  fi
  sleep 5
done
version="$said"
state="$(ask --dbname=postgres <"$here/state.sql")"
printf '%s\n' "SELECT :'state'::json ->> 'roles'" | ask --dbname=postgres --set=state="$state" >"$1/roles.json"
# For people: what this program needs is in roles.json.
pg_dumpall --globals-only --no-role-passwords --no-password --username="$superuser" --database=postgres >"$1/globals.sql"
inventory="$(cat "$here/inventory.sql")"
printf '{"version":"%s","facts":{"inventory":{' "$version"
comma=''
for database in $DATABASES; do
  # What was counted comes first, then an empty line, then the dump.
  { sh "$here/dump.sh" "$database" "$inventory" || touch "$1/failed"; } | {
    while IFS= read -r line && [ -n "$line" ]; do printf '%s\n' "$line"; done >"$1/$database.counts"
    cat >"$1/$database.dump" || touch "$1/failed"
  }
  if [ -e "$1/failed" ] || ! pg_restore --exit-on-error --file=/dev/null <"$1/$database.dump"; then
    echo "error: the dump of database $database cannot be read, or was not written whole" >&2
    exit 1
  fi
  printf '%s"%s":[' "$comma" "$database"
  comma=''
  while IFS= read -r line; do
    printf '%s%s' "$comma" "$line"
    comma=','
  done <"$1/$database.counts"
  printf ']'
  comma=','
done
printf '}}}\n'
