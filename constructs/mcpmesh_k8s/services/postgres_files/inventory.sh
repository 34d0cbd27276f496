# $1 is a database, $2 the SQL of its inventory: prints that, of one snapshot.
. ./psql.sh
printf 'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;\n%s\nCOMMIT;\n' "$2" | ask --dbname="$1"
