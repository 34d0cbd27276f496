# Prints the manifest of each backup in $BUCKET, a line each.
. ./common.sh
. ./bucket.sh
there_are >/tmp/complete
while read -r name; do
  mc --quiet cat "$BUCKET/$name/manifest.json"
done </tmp/complete
