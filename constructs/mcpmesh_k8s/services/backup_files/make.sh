# Makes a backup, whatever its target. Beside common.sh.
# shellcheck disable=SC2154
set -eu
# Prints checksum, size and path of each file below the folder $1, which ends with "/" unless it is this one.
sums_of() {
  for entry in "$1"* "$1".[!.]* "$1"..?*; do
    if [ -d "$entry" ]; then
      sums_of "$entry/"
    elif [ -f "$entry" ]; then
      case "$entry" in
        *'
'*) fail "the name of $entry holds a line break" ;;
      esac
      sum="$(sha256sum <"$entry")"
      printf '%s %s %s\n' "${sum%% *}" "$(($(wc -c <"$entry")))" "$entry"
    fi
  done
}
# Makes the backup $1 in the folder $2, and sets what is told of it: $bytes, $files, $seconds.
make_backup() {
  began="$(date -u +%s)"
  mkdir "$2" "$2/data"
  sh "$here/take.sh" "$2/data" >"$2/taken" || fail "no backup of $STORE was made: see above"
  (cd "$2/data" && sums_of '') >"$2/sums" || fail "the backup of $STORE cannot be read"
  bytes=0 files=0
  while read -r _ size _; do
    bytes=$((bytes + size)) files=$((files + 1))
  done <"$2/sums"
  sum="$(sha256sum <"$2/sums")"
  seconds=$(($(date -u +%s) - began))
  {
    printf '{"format":1,"store":"%s","name":"%s","seconds":%s,"bytes":%s,"files":%s,"sums":"%s","taken":' \
      "$STORE" "$1" "$seconds" "$bytes" "$files" "${sum%% *}"
    tr -d '\n' <"$2/taken"
    echo '}'
  } >"$2/manifest.json"
  rm "$2/taken"
}
