# $1 is a database, $2 SQL that hands things over, $3 the mark of stand-ins; then schema, old owner and new owner, as often
# as needed. Stand-ins are left with nothing.
. ./psql.sh
database="$1"
sql="$2"
mark="$3"
shift 3
while [ $# -gt 0 ]; do
  printf '%s\n' "$sql" |
    ask --dbname="${database}_import" --single-transaction --set=schema="$1" --set=old="$2" --set=new="$3"
  shift 3
done
ask --dbname="${database}_import" --single-transaction --set=mark="$mark" <<'SQL'
SELECT format('REASSIGN OWNED BY %1$I TO CURRENT_USER; DROP OWNED BY %1$I', rolname) FROM pg_roles
WHERE shobj_description(oid, 'pg_authid') = :'mark' \gexec
SQL
