# $1 is a folder: copies every bucket that this user may read into a folder of its name, compares, and prints what is in
# each. The image has a shell and coreutils, and no more.
set -eu
export LC_ALL=C
left=60
until mc --quiet ls --json store >/tmp/buckets; do
  left=$((left - 1))
  if [ "$left" -le 0 ]; then
    echo "error: the object storage does not answer" >&2
    exit 1
  fi
  sleep 5
done
# What stands in a line of JSON behind a name.
value() {
  rest="${line#*\""$1"\":}"
  [ "$rest" != "$line" ] || return 0
  rest="${rest#"${rest%%[! ]*}"}"
  case "$rest" in
    '"'*) rest="${rest#\"}" && printf '%s' "${rest%%\"*}" ;;
    *) printf '%s' "${rest%%[!0-9]*}" ;;
  esac
}
# Prints checksum and size of each object that the server has: "-" where it names no checksum of the whole.
stored() {
  while IFS= read -r line; do
    case "$(value type)" in file) ;; *) continue ;; esac
    sum="$(value etag)"
    case "$sum" in *-* | '') sum=- ;; esac
    echo "$sum $(value size)"
  done </tmp/stat
}
# Prints the same of each file below $1.
copied() {
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ -d "$entry" ]; then
      copied "$entry"
    elif [ -f "$entry" ]; then
      sum="$(md5sum <"$entry")"
      size="$(($(wc -c <"$entry")))"
      printf '%s %s\n- %s\n' "${sum%% *}" "$size" "$size"
    fi
  done
}
printf '{"version":"%s","facts":{"buckets":{' "$(mc --version | head -n 1)"
comma='' count=0
while IFS= read -r line; do
  bucket="$(value key)"
  bucket="${bucket%/}"
  left=3
  while :; do
    mkdir "$1/$bucket"
    : >/tmp/stat
    # Asked for what is stored with nothing, it fails.
    if [ -n "$(mc --quiet ls --json --recursive "store/$bucket")" ]; then
      mc --quiet stat --json --recursive "store/$bucket" >/tmp/stat
      mc --quiet mirror "store/$bucket" "$1/$bucket" >/dev/null
    fi
    stored | sort >/tmp/stored
    copied "$1/$bucket" | sort >/tmp/copied
    # What was added meanwhile is more. What was replaced meanwhile is copied again.
    missing="$(comm -23 /tmp/stored /tmp/copied | head -n 1)"
    [ -n "$missing" ] || break
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      echo "error: bucket $bucket: an object of ${missing#* } bytes is not the same in the copy" >&2
      exit 1
    fi
    rm -rf "${1:?}/$bucket"
  done
  printf '%s"%s":[' "$comma" "$bucket"
  comma=''
  while IFS= read -r line; do
    printf '%s%s' "$comma" "$line"
    comma=','
  done </tmp/stat
  printf ']'
  comma=',' count=$((count + 1))
done </tmp/buckets
printf '}}}\n'
[ "$count" -gt 0 ] || { echo "error: there is no bucket that this user may read" >&2; exit 1; }
