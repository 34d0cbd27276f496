# $1 is the folder of the certificate, $2 the file with the one that was last read: asks by the rest whether the server is
# ready. Where the certificate was renewed, the server is told to read it. Who is connected stays so.
set -eu
if ! cmp -s "$1/tls.crt" "$2"; then
  # A copy by cp would be as read-only as the Secret, and in the way of the next.
  cat "$1/tls.crt" >"$2.new"
  # A server that does not answer yet is told when it is asked next.
  if psql --no-psqlrc --quiet --no-password --username=postgres --dbname=postgres \
    --command='SELECT pg_reload_conf()' >/dev/null; then
    mv "$2.new" "$2"
  fi
fi
shift 2
exec "$@"
