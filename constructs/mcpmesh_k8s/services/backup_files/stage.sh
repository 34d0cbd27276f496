# Makes a backup in $BACKUPS, a folder of the pod, for another container that sends it.
. ./common.sh
. ./make.sh
cd "$BACKUPS" || fail "there is no $BACKUPS"
rm -rf -- *
make_backup "$(date -u +%Y%m%dT%H%M%SZ)" staged
