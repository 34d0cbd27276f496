# Makes a backup in $BACKUPS: under another name, and renamed when it is complete and was read. Then it removes what the
# retention does not keep. What is no backup of this store is left alone.
. ./common.sh
. ./make.sh
# The day of the week follows from the number of days since 1970, which was a Thursday. Weeks begin on Monday.
week_of() {
  year="${1%????}" rest="${1#????}"
  month="${rest%??}" day="${rest#??}"
  month="${month#0}" day="${day#0}"
  if [ "$month" -le 2 ]; then year=$((year - 1)) month=$((month + 12)); fi
  echo $(((365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 719469 + 3) / 7))
}
# Prints what is kept: the newest backup of each of the newest days, weeks and months that have one. The clock has no say.
kept() {
  days=0 weeks=0 months=0 day='' week='' month=''
  for found in "$@"; do
    keep='' date="${found%T*}"
    if [ "$date" != "$day" ]; then
      day="$date" days=$((days + 1))
      [ "$days" -gt "$KEEP_DAILY" ] || keep=yes
    fi
    this="$(week_of "$date")"
    if [ "$this" != "$week" ]; then
      week="$this" weeks=$((weeks + 1))
      [ "$weeks" -gt "$KEEP_WEEKLY" ] || keep=yes
    fi
    if [ "${date%??}" != "$month" ]; then
      month="${date%??}" months=$((months + 1))
      [ "$months" -gt "$KEEP_MONTHLY" ] || keep=yes
    fi
    if [ -n "$keep" ]; then echo "$found"; fi
  done
}
remove() {
  mv "$1" ".old-$1"
  rm -rf ".old-$1"
  echo "event=removed store=$STORE name=$1"
}

cd "$BACKUPS" || fail "there is no $BACKUPS"
# What a run left that was cut short.
for left in .new-* .old-*; do
  if is_name "${left#.???-}"; then rm -rf "$left"; fi
done
newest=''
for found in *; do
  if is_backup "$found"; then newest="$found"; fi
done
name="$(date -u +%Y%m%dT%H%M%SZ)"
[ ! -e "$name" ] || fail "$BACKUPS/$name exists"
trap 'rm -rf ".new-$name"' EXIT
trap 'exit 1' HUP INT TERM
make_backup "$name" ".new-$name"
# What is the same as in the one before is kept once, when it is still what was written there.
damaged=''
if [ -n "$newest" ]; then
  sort "$newest/sums" >".new-$name/before"
  sort ".new-$name/sums" | comm -12 ".new-$name/before" - | while read_entry; do
    before="$(sha256sum <"$newest/data/$path")" || before=''
    if [ "${before%% *}" = "$sum" ]; then
      ln -f "$newest/data/$path" ".new-$name/data/$path" || true
    else
      echo "$path" >>".new-$name/damaged"
    fi
  done
  if [ -e ".new-$name/damaged" ]; then
    damaged="$(head -n 1 ".new-$name/damaged")"
    rm ".new-$name/damaged"
  fi
  rm ".new-$name/before"
fi
sync
mv ".new-$name" "$name"
sync
echo "event=backup store=$STORE name=$name bytes=$bytes files=$files seconds=$seconds"
if [ -n "$newest" ] && [ "$(moment "$newest")" -ge "$(moment "$name")" ]; then
  fail "the clock says $name, which is before the backup $newest: one of them is wrong. $name was made, and nothing is" \
    "removed until no backup has a later name"
fi
[ -z "$newest" ] || require_size "$newest" "$bytes" "$newest/manifest.json"
set --
for found in *; do
  if is_backup "$found"; then set -- "$found" "$@"; fi
done
keeping="$(kept "$@")"
for found in "$@"; do
  case "
$keeping
" in
    *"
$found
"*) ;;
    *) remove "$found" ;;
  esac
done
[ -z "$damaged" ] || fail "the backup $newest is damaged: $damaged is not what was written. The new one is not"
