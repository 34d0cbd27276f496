# $1 is a backup in $BUCKET: prints its sums, an empty line, and then its files one after the other.
. ./common.sh
is_name "$1" || fail "$1 is no backup"
mc --quiet cat "$BUCKET/$1/sums" >/tmp/sums || fail "$BUCKET has no backup $1 of $STORE"
cat /tmp/sums
echo
while read -r _ _ path; do
  mc --quiet cat "$BUCKET/$1/data/$path"
done </tmp/sums
