# $1 is a backup in $BACKUPS: prints its sums, an empty line, and then its files one after the other.
. ./common.sh
cd "$BACKUPS" || fail "there is no $BACKUPS"
is_backup "$1" || fail "$BACKUPS has no backup $1 of $STORE"
cat "$1/sums"
echo
while read -r _ _ path; do
  cat "$1/data/$path"
done <"$1/sums"
