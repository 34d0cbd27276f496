# $1 is a backup in $BACKUPS: prints its sums, an empty line, and then its files one after the other.
. ./common.sh
cd "$BACKUPS" || fail "there is no $BACKUPS"
is_backup "$1" || fail "$BACKUPS has no backup $1 of $STORE"
if is_sealed "$1/manifest.json"; then
  unseal <"$1/data/0" >/tmp/sums
  cat /tmp/sums
  echo
  number=0
  while read_entry; do
    number=$((number + 1))
    unseal <"$1/data/$number"
  done </tmp/sums
  exit
fi
cat "$1/sums"
echo
while read_entry; do
  cat "$1/data/$path"
done <"$1/sums"
