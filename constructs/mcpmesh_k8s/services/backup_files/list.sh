# Prints the manifest of each backup in $BACKUPS, a line each.
. ./common.sh
cd "$BACKUPS" || fail "there is no $BACKUPS"
for found in *; do
  if is_backup "$found"; then cat "$found/manifest.json"; fi
done
