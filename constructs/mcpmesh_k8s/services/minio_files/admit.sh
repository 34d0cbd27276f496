# Makes the user NEW_ACCESS_KEY with NEW_SECRET_KEY, or gives it that one. The arguments are the policies that it has.
set -eu
# It reads both keys from its input: an argument could be seen in the list of processes.
printf '%s\n' "$NEW_ACCESS_KEY" "$NEW_SECRET_KEY" | mc --quiet admin user add store
for policy in "$@"; do
  mc --quiet admin policy attach store "$policy" --user "$NEW_ACCESS_KEY"
done
