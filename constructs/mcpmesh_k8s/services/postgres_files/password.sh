# $1 is a role that gets the password on its input. No argument holds it, and the server hears what follows from it alone.
. ./psql.sh
password="$(cat)"
export PGOPTIONS='-c log_statement=none -c log_min_error_statement=panic -c log_min_duration_statement=-1'
printf '%s\n%s\n' "$password" "$password" | ask --dbname=postgres --command="\\password $1"
