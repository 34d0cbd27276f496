# Reads a whole archive from its input, and drops what it says.
set -eu
exec pg_restore --exit-on-error --file=/dev/null
