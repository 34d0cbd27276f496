# Copies the newest backup of $BUCKET into $BACKUPS, a folder of the pod.
. ./common.sh
. ./bucket.sh
cd "$BACKUPS" || fail "there is no $BACKUPS"
rm -rf -- *
name="$(there_are | tail -n 1)"
[ -n "$name" ] || fail "$BUCKET has no backup of $STORE"
mkdir "$name"
cd "$name"
mc --quiet cat "$BUCKET/$name/sums" >sums
while read_entry; do
  case "$path" in */*) mkdir -p "data/${path%/*}" ;; *) mkdir -p data ;; esac
  mc --quiet cat "$BUCKET/$name/data/$path" >"data/$path"
done <sums
mc --quiet cat "$BUCKET/$name/manifest.json" >manifest.json
