# Prints what the server says of itself, and how much room its folder has.
set -eu
redis-cli -e INFO server
redis-cli -e INFO memory
redis-cli -e INFO keyspace
redis-cli -e INFO persistence
redis-cli -e INFO replication
redis-cli -e INFO clients
folder="$(redis-cli -e CONFIG GET dir | tail -n 1)"
df -P -k "$folder" | tail -n 1 | { read -r _ _ _ free _; echo "disk_free:$free"; }
du -s -k "$folder" | { read -r used _; echo "disk_used:$used"; }
