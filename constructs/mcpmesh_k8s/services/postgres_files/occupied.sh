# $1 is a database: prints how many tables, sequences and the like it has that no extension brought.
. ./psql.sh
ask --dbname="$1" <<'SQL'
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE relkind IN ('r', 'p', 'm', 'v', 'S', 'f') AND relpersistence <> 't' AND nspname !~ '^pg_'
  AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e');
SQL
