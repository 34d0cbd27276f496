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
# Encrypts the files of the backup in the folder $1 to $AGE_TO, whose identities are not here. No name is left of them.
seal_files() {
  mkdir "$1/sealed"
  number=0
  # shellcheck disable=SC2086
  "$AGE" $AGE_TO --output "$1/sealed/0" "$1/sums" || fail "the backup of $STORE cannot be encrypted: see above"
  while read_entry; do
    number=$((number + 1))
    # shellcheck disable=SC2086
    "$AGE" $AGE_TO --output "$1/sealed/$number" "$1/data/$path" || fail "$path cannot be encrypted: see above"
    rm "$1/data/$path"
  done <"$1/sums"
  rm -rf "$1/data"
  mv "$1/sealed" "$1/data"
  (cd "$1/data" && sums_of '') >"$1/sums" || fail "the backup of $STORE cannot be read"
}
# Makes the backup $1 in the folder $2, and sets what is told of it: $bytes, $files, $seconds.
make_backup() {
  began="$(date -u +%s)"
  mkdir "$2" "$2/data"
  sh "$here/take.sh" "$2/data" >"$2/taken" || fail "no backup of $STORE was made: see above"
  if [ -n "${AGE_TO:-}" ]; then mv "$2/taken" "$2/data/.taken"; fi
  (cd "$2/data" && sums_of '') >"$2/sums" || fail "the backup of $STORE cannot be read"
  bytes=0 files=0
  while read_entry; do
    bytes=$((bytes + size)) files=$((files + 1))
  done <"$2/sums"
  plain=''
  if [ -n "${AGE_TO:-}" ]; then
    sum="$(sha256sum <"$2/sums")"
    plain="\"plain\":\"${sum%% *}\","
    seal_files "$2"
    echo null >"$2/taken"
  fi
  sum="$(sha256sum <"$2/sums")"
  seconds=$(($(date -u +%s) - began))
  {
    printf '{"format":1,"store":"%s","name":"%s","seconds":%s,"bytes":%s,"files":%s,"sums":"%s",%s"taken":' \
      "$STORE" "$1" "$seconds" "$bytes" "$files" "${sum%% *}" "$plain"
    tr -d '\n' <"$2/taken"
    echo '}'
  } >"$2/manifest.json"
  rm "$2/taken"
}
