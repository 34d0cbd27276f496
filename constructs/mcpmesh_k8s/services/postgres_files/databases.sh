# Brings roles, databases, grants and extensions to what databases.json says. It drops nothing, finds done what is done,
# and two may run at once. No argument holds a password, and the server hears none: psql reads it from its environment
# or its input, and sends what follows from it.
. ./psql.sh
folder="$(dirname "$0")"
wanted="$(cat "$folder/databases.json")"
limits="$(cat "$folder/limits.json")"
# The server logs no statement of this, be it wrong or slow. When this machine is lost, it keeps no lock of it for long.
export PGOPTIONS='-c log_statement=none -c log_min_error_statement=panic -c log_min_duration_statement=-1
  -c idle_session_timeout=30s -c idle_in_transaction_session_timeout=30s'

fail() {
  echo "error: $*" >&2
  exit 1
}
await_server() {
  until said="$(ask --dbname=postgres --command='SELECT 1' 2>&1)"; do
    case "$said" in
      *'password authentication failed'*)
        fail "the server refuses the password of $superuser that is in $SECRET_NAME, key password. Who changes it must" \
          "tell the server too: kubectl exec -it $SERVER -- psql --username=$superuser --command='\\password $superuser'"
        ;;
    esac
    echo "waiting for $PGHOST:$PGPORT: $(printf '%s\n' "$said" | head -n 1)" >&2
    sleep 2
  done
}
# Runs its arguments, and once more whenever the server went away meanwhile.
steady() {
  while :; do
    status=0
    "$@" || status=$?
    [ "$status" -eq 2 ] || return "$status"
    await_server
  done
}
# A line for each role of each database: DATABASE|ROLE.
list_roles() {
  printf '%s\n' "SELECT w ->> 'name', r
    FROM json_array_elements(:'wanted') AS w, unnest(ARRAY['roles', 'readers']) AS part,
      json_array_elements_text(w -> part) AS r" |
    ask --dbname=postgres --set=wanted="$wanted"
}
make_databases() { ask --dbname=postgres --set=wanted="$wanted" --set=limits="$limits" --file="$folder/databases.sql"; }
make_exporter() { ask --dbname=postgres --set=database="$database" --file="$folder/exporter.sql"; }
make_backup() { ask --dbname=postgres --set=wanted="$wanted" --file="$folder/backup.sql"; }
make_schemas() { ask --dbname="$database" --set=wanted="$wanted" --file="$folder/schemas.sql"; }
make_readers() { ask --dbname="$database" --set=wanted="$wanted" --file="$folder/readers.sql"; }
# As the client does it, so that it proves all that the client needs.
log_in() {
  said="$(
    unset PGOPTIONS
    PGPASSWORD="$password" ask --username="$role" --dbname="$database" --command='SELECT 1' 2>&1
  )"
}
# psql asks for the new password twice, on its input where there is no terminal.
tell_password() {
  printf '%s\n%s\n' "$password" "$password" | ask --dbname=postgres --command="\\password $role" 2>/dev/null
}
give_password() {
  key="$(printf '%s' "$role" | tr _ -)-password"
  password=''
  eval "password=\"\${$(printf '%s' "$role" | tr '[:lower:]' '[:upper:]')_PASSWORD:-}\""
  case "$password" in
    '') fail "key $key of $SECRET_NAME is empty: give it a value, then deploy again" ;;
    *'
'*) fail "key $key of $SECRET_NAME holds a line break: give it a value without, then deploy again" ;;
  esac
  # Another run may write the same row at the same time, and the server may go away.
  for _ in 1 2 3; do
    if log_in; then return 0; fi
    if tell_password; then
      echo "role $role: its password is now that of $SECRET_NAME, key $key"
    else
      await_server
    fi
  done
  log_in || fail "role $role cannot log in to database $database: $said"
}

await_server
steady make_databases || fail "the databases could not be made: see above"
roles="$(steady list_roles)"
database=''
for line in $roles; do
  role="${line#*|}"
  if [ "${line%|*}" != "$database" ]; then
    database="${line%|*}"
    steady make_schemas || fail "database $database is not as it should be: see above"
    if [ -e "$folder/readers.sql" ]; then
      steady make_readers || fail "the readers of database $database are not as they should be: see above"
    fi
  fi
  give_password
done
if [ -n "${EXPORTER_DATABASE:-}" ]; then
  database="$EXPORTER_DATABASE" role=exporter
  steady make_exporter || fail "role $role is not as it should be: see above"
  give_password
fi
if [ -e "$folder/backup.sql" ]; then
  role=backup
  steady make_backup || fail "role $role is not as it should be: see above"
  # It enters every database: the server's own is enough to see that it may.
  database=postgres
  give_password
fi
echo "roles and databases are what the settings say"
