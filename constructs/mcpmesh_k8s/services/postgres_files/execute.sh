# Executes $1 in one transaction.
. ./psql.sh
ask --dbname=postgres --single-transaction --command="$1"
