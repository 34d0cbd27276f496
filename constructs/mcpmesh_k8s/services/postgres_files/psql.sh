# ask runs psql as the superuser of the container: who is in it needs no password. SQL comes on its input.
set -eu
superuser="${POSTGRES_USER:-postgres}"
ask() {
  psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 --no-password --username="$superuser" "$@"
}
