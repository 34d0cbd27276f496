# Sends the backup in $BACKUPS to $BUCKET, reads it back, and sends its manifest last: without one it is no backup. What is
# there is never replaced nor removed, for which the keys need not be good.
. ./common.sh
cd "$BACKUPS/staged" || fail "there is no backup to send"
name="$(head -c 200 manifest.json)"
name="${name#*'"name":"'}"
name="${name%%'"'*}"
is_name "$name" || fail "the backup to send has no name: $name"
newest=''
mc --quiet ls "$BUCKET/" >/tmp/there || fail "the bucket cannot be listed: see above"
while read -r line; do
  found="${line##* }"
  found="${found%/}"
  if is_name "$found" && { [ -z "$newest" ] || [ "$(moment "$found")" -gt "$(moment "$newest")" ]; }; then newest="$found"; fi
done </tmp/there
[ "$newest" != "$name" ] || fail "$BUCKET/$name exists"
send() {
  mc --quiet cp "$1" "$BUCKET/$name/$1" >/dev/null || fail "$1 could not be sent: see above"
  sent="$(mc --quiet cat "$BUCKET/$name/$1" | sha256sum)"
  own="$(sha256sum <"$1")"
  [ "$sent" = "$own" ] || fail "$1 did not arrive as it was sent"
}
bytes=0 files=0
while read_entry; do
  send "data/$path"
  bytes=$((bytes + size)) files=$((files + 1))
done <sums
send sums
send manifest.json
echo "event=backup store=$STORE name=$name bytes=$bytes files=$files"
if [ -n "$newest" ] && [ "$(moment "$newest")" -ge "$(moment "$name")" ]; then
  fail "the clock says $name, which is before the backup $newest: one of them is wrong"
fi
if [ -n "$newest" ] && mc --quiet cat "$BUCKET/$newest/manifest.json" >/tmp/manifest.json; then
  require_size "$newest" "$(bytes_of manifest.json)" /tmp/manifest.json
fi
