# $1 is a database, $2 SQL: what was restored beside it gets its owner and its grants.
. ./psql.sh
rights="$(printf '%s\n' "$2" | ask --dbname="$1" --set=new="$1_import")"
printf '%s\n' "$rights" | ask --dbname="$1_import" --single-transaction
