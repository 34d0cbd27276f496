# $1 is a user who gets the password on its input beside what it has; with $2, instead. No argument holds it.
. ./ask.sh
{ printf '>'; cat; } | ask -e -x ACL SETUSER "$1" ${2:+resetpass}
