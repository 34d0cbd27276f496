# Prints how many keys each database holds.
set -eu
exec redis-cli -e INFO keyspace
