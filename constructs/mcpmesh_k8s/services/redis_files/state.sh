# Prints what the server says of itself, and how much room its folder has.
. ./ask.sh
ask -e INFO
folder="$(ask -e CONFIG GET dir | tail -n 1)"
df -P -k "$folder" | tail -n 1 | { read -r _ _ _ free _; echo "disk_free:$free"; }
du -s -k "$folder" | { read -r used _; echo "disk_used:$used"; }
