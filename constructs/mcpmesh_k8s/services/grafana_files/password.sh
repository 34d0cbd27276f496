# Gives the first administrator the password on the input.
set -eu
grafana cli --homepath "${GF_PATHS_HOME:-/usr/share/grafana}" --config "$GF_PATHS_CONFIG" \
  admin reset-admin-password --password-from-stdin
