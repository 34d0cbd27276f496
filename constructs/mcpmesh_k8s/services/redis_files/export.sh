# Prints a dump. It asks for one as a replica does: by default it is sent from memory and nothing is written.
. ./ask.sh
ask --rdb -
