# What all scripts of backups share. $STORE is the store. A backup is a folder that is named by its moment, in UTC. It
# holds the data, "sums" with checksum, size and path of each file, and "manifest.json", which is written last.
# The images have a shell and what coreutils brings, and nothing else is used here.
set -eu
# The group is that of the volume: of one pod, whose containers may be of several users.
umask 027
export LC_ALL=C
# shellcheck disable=SC2034
here="$(dirname "$0")"
fail() {
  echo "error: $*" >&2
  exit 1
}
is_name() {
  case "$1" in
    [0-9][0-9][0-9][0-9][01][0-9][0-3][0-9]T[0-2][0-9][0-5][0-9][0-6][0-9]Z) return 0 ;;
  esac
  return 1
}
# Reads a line of "sums": $sum, $size and $path of a file. What read splits by itself loses a space at the end of a name.
read_entry() {
  IFS= read -r path || return 1
  sum="${path%% *}"
  path="${path#* }"
  # shellcheck disable=SC2034
  size="${path%% *}"
  path="${path#* }"
}
# Digits that can be compared: 20261130T023000Z is 20261130023000.
moment() {
  rest="${1#*T}"
  echo "${1%T*}${rest%Z}"
}
# Whether the folder $1 is a complete backup of this store, and nobody else's.
is_backup() {
  is_name "$1" && [ ! -L "$1" ] && [ -f "$1/sums" ] && [ -f "$1/manifest.json" ] || return 1
  case "$(head -c 200 "$1/manifest.json")" in
    '{"format":1,"store":"'"$STORE"'","name":"'"$1"'",'*) return 0 ;;
  esac
  return 1
}
# The bytes of a backup, as the manifest in the file $1 says; nothing where that cannot be read.
bytes_of() {
  rest="$(head -c 400 "$1")"
  rest="${rest#*'"bytes":'}"
  rest="${rest%%,*}"
  case "$rest" in '' | *[!0-9]*) ;; *) echo "$rest" ;; esac
}
# Refuses a backup of $2 bytes whose predecessor is $1, with the manifest in the file $3. It may be of a store that lost
# its data. What cannot be read is not compared.
require_size() {
  before="$(bytes_of "$3")"
  [ -z "$before" ] || [ "$(($2 * 100))" -ge "$((before * LEAST_PERCENT))" ] ||
    fail "the backup has $2 bytes, less than $LEAST_PERCENT percent of the $before of $1 before it. It is kept, and nothing" \
      "is removed. Is all of $STORE in it?"
}
# Whether the manifest in the file $1 is of a backup that is encrypted. Its files are numbered, and 0 is their list.
is_sealed() {
  case "$(head -c 400 "$1")" in *',"plain":"'*) return 0 ;; esac
  return 1
}
# Decrypts its input.
unseal() {
  [ -n "${AGE_IDENTITY:-}" ] || fail "it is encrypted, and there is no identity here that opens it"
  "$AGE" --decrypt --identity "$AGE_IDENTITY" || fail "it cannot be decrypted: see above"
}
