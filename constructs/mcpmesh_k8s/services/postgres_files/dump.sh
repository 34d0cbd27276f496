# $1 is a database, $2 the SQL of its inventory: prints that, an empty line and a dump of the same snapshot.
# psql counts in the snapshot that pg_dump reads, then stays until it is done. It does not look at how a program ended,
# so that one ends it.
. ./psql.sh
export DATABASE="$1" SUPERUSER="$superuser"
{
  cat <<'SQL'
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SELECT pg_export_snapshot() AS snapshot \gset
SQL
  printf '%s\n' "$2"
  cat <<'SQL'
\echo
\setenv SNAPSHOT :snapshot
\! pg_dump --format=custom --snapshot="$SNAPSHOT" --lock-wait-timeout=60s --no-password --username="$SUPERUSER" --dbname="$DATABASE" || kill "$PPID"
COMMIT;
SQL
} | ask --dbname="$1"
