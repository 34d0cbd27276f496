# $1 is what to do with a damaged append-only file below $2: "cut-off" cuts it where the damage begins, "put-aside" lets
# the server begin empty. All of it is kept beside first. What is sound is not touched.
set -eu
cd "$2"
manifest=appendonlydir/appendonly.aof.manifest
[ -e "$manifest" ] || { echo "there is no append-only file: nothing to repair"; exit 0; }
said="$(redis-check-aof "$manifest" 2>&1)" && { echo "the append-only file is sound: nothing to repair"; exit 0; }
printf '%s\n' "$said"
rm -rf damaged-*.part
number=1
while [ -e "damaged-$number" ]; do number=$((number + 1)); done
kept="damaged-$number"
if [ "$1" = put-aside ]; then
  mv appendonlydir "$kept"
  echo "the damaged append-only file is now $2/$kept, and the server begins empty"
  exit 0
fi
cp -R appendonlydir "$kept.part" || {
  rm -rf "$kept.part"
  echo "error: there is no room for a copy, so nothing was changed: give the claim more" >&2
  exit 1
}
mv "$kept.part" "$kept"
if printf 'y\n' | redis-check-aof --fix "$manifest" && redis-check-aof "$manifest" >/dev/null 2>&1; then
  echo "repaired: what came after the damage is lost to the server, and all as it was is kept in $2/$kept"
  exit 0
fi
if diff -r appendonlydir "$kept" >/dev/null; then rm -rf "$kept"; fi
echo "error: only the end of its last file can be cut off, and the damage is elsewhere; nothing was changed" >&2
exit 1
