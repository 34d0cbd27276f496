# $1 is SQL: prints the free space, and what that says.
. ./psql.sh
df -P -k "$PGDATA" | tail -n 1
printf '%s\n' "$1" | ask --dbname=postgres
