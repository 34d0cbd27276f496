# Prints how many keys each database holds.
. ./ask.sh
ask -e INFO keyspace
