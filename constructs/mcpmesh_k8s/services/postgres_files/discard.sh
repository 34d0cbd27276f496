# $1 is the mark of stand-ins; then databases: drops what was restored beside them, then the stand-ins.
. ./psql.sh
mark="$1"
shift
for database in "$@"; do
  shift
  set -- "$@" --command="DROP DATABASE IF EXISTS \"${database}_import\" WITH (FORCE)"
done
ask --dbname=postgres --set=mark="$mark" "$@" --file=- <<'SQL'
SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = :'mark' \gexec
SQL
