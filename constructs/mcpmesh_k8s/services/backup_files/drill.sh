# Tries the newest backup of $STORE in $BACKUPS: all its files are what they were, and a server that is thrown away loads
# them and holds what was counted.
. ./common.sh
began="$(date -u +%s)"
cd "$BACKUPS" || fail "there is no $BACKUPS"
newest=''
for found in *; do
  if is_backup "$found"; then newest="$found"; fi
done
[ -n "$newest" ] || fail "$BACKUPS has no backup of $STORE"
sum="$(sha256sum <"$newest/sums")"
case "$(head -c 400 "$newest/manifest.json")" in
  *'"sums":"'"${sum%% *}"'"'*) ;;
  *) fail "the backup $newest of $STORE is damaged: its sums are not those of its manifest" ;;
esac
bytes=0
while read_entry; do
  found="$(sha256sum <"$newest/data/$path")" || fail "the backup $newest of $STORE is damaged: $path is missing"
  [ "${found%% *}" = "$sum" ] || fail "the backup $newest of $STORE is damaged: $path is not what was written"
  bytes=$((bytes + size))
done <"$newest/sums"
data="$PWD/$newest/data"
if is_sealed "$newest/manifest.json"; then
  data="$SCRATCH/opened"
  rm -rf "$data"
  mkdir "$data"
  unseal <"$newest/data/0" >"$SCRATCH/sums"
  sum="$(sha256sum <"$SCRATCH/sums")"
  case "$(head -c 400 "$newest/manifest.json")" in
    *'"plain":"'"${sum%% *}"'"'*) ;;
    *) fail "the backup $newest of $STORE is damaged: what it lists is not what its manifest says" ;;
  esac
  number=0
  while read_entry; do
    number=$((number + 1))
    case "/$path/" in *'/../'*) fail "the backup $newest of $STORE has a file $path, which would be written elsewhere" ;; esac
    case "$path" in */*) mkdir -p "$data/${path%/*}" ;; esac
    unseal <"$newest/data/$number" >"$data/$path"
    found="$(sha256sum <"$data/$path")"
    [ "${found%% *}" = "$sum" ] || fail "the backup $newest of $STORE is damaged: $path is not what was written"
  done <"$SCRATCH/sums"
  rm "$data/.taken"
fi
sh "$here/try.sh" "$data" || fail "the backup $newest of $STORE cannot be restored: see above"
echo "event=drill store=$STORE name=$newest bytes=$bytes seconds=$(($(date -u +%s) - began))"
