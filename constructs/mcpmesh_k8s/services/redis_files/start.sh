# Writes what the configuration includes, the users of the server with their passwords, and starts it. Each line of
# $1/users is a name and the user's rights; NAME_PASSWORD is the password.
set -eu
umask 077
while read -r name rights; do
  eval "password=\"\${$(printf '%s' "$name" | tr '[:lower:]-' '[:upper:]_')_PASSWORD:?is not set}\""
  # shellcheck disable=SC2154
  case "$password" in
    *[[:space:]\"\']*)
      echo "error: $name-password holds a space, a line break or a quote, which would end it: give another" >&2
      exit 1
      ;;
  esac
  printf 'user %s on >%s %s\n' "$name" "$password" "$rights"
done <"$1/users" >"$2"
exec redis-server "$1/redis.conf"
