# Prints a dump. It asks for one as a replica does: by default it is sent from memory and nothing is written.
set -eu
exec redis-cli --rdb -
