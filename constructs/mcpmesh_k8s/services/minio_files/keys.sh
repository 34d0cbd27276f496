# Prints the root keys that the server was started with: what a Secret holds now may be something else.
set -eu
printf '%s\n%s\n' "${MINIO_ROOT_USER:?is not set}" "${MINIO_ROOT_PASSWORD:?is not set}"
