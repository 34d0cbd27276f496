# What reads backups in $BUCKET. Beside common.sh.
set -eu
# Prints the names of those that are complete, the oldest first.
there_are() {
  mc --quiet ls "$BUCKET/" >/tmp/there || fail "the bucket cannot be listed: see above"
  while read -r line; do
    found="${line##* }"
    if is_name "${found%/}"; then echo "${found%/}"; fi
  done </tmp/there | sort >/tmp/names
  while read -r found; do
    if mc --quiet cat "$BUCKET/$found/manifest.json" >/tmp/manifest.json 2>/dev/null; then
      case "$(head -c 200 /tmp/manifest.json)" in
        '{"format":1,"store":"'"$STORE"'","name":"'"$found"'",'*) echo "$found" ;;
      esac
    fi
  done </tmp/names
}
