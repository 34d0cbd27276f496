# $1 is SQL; $2 to $5 are what it is told: roles, memberships, superusers of the source, and the comment that marks them.
. ./psql.sh
printf '%s\n' "$1" | ask --dbname=postgres --set=roles="$2" --set=members="$3" --set=superusers="$4" --set=mark="$5"
