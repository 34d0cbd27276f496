# $1 is a database: restores the archive on its input beside it.
. ./psql.sh
ask --dbname=postgres --command="CREATE DATABASE \"$1_import\" TEMPLATE template0" \
  --command="REVOKE ALL ON DATABASE \"$1_import\" FROM PUBLIC"
exec pg_restore --exit-on-error --single-transaction --no-password --username="$superuser" --dbname="$1_import"
