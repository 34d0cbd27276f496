# $1 is a backup in $BUCKET: prints its sums, an empty line, and then its files one after the other.
. ./common.sh
is_name "$1" || fail "$1 is no backup"
mc --quiet cat "$BUCKET/$1/manifest.json" >/tmp/manifest.json || fail "$BUCKET has no backup $1 of $STORE"
if is_sealed /tmp/manifest.json; then
  mc --quiet cat "$BUCKET/$1/data/0" | unseal >/tmp/sums
  cat /tmp/sums
  echo
  number=0
  while read_entry; do
    number=$((number + 1))
    mc --quiet cat "$BUCKET/$1/data/$number" | unseal
  done </tmp/sums
  exit
fi
mc --quiet cat "$BUCKET/$1/sums" >/tmp/sums || fail "$BUCKET has no backup $1 of $STORE"
cat /tmp/sums
echo
while read_entry; do
  mc --quiet cat "$BUCKET/$1/data/$path"
done </tmp/sums
