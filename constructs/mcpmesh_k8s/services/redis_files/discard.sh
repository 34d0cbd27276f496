# $1 is the port: stops the second server and removes its files.
. ./staged.sh
[ -d "$folder" ] || exit 0
staged SHUTDOWN NOSAVE >/dev/null 2>&1 || true
rm -rf "$folder"
