#!/bin/sh
# Starts a replica: copies the primary first if there is no data yet. Runs as the user `postgres`, in
# place of the image's entrypoint, which it calls at the end.
set -eu

if [ ! -d "$PGDATA" ]; then
    # An interrupted copy must not pass for a whole one: it gets its name when it is complete.
    copy="$(dirname "$PGDATA")/copy"
    rm -rf "$copy"
    # --write-recovery-conf makes it a replica of where it was copied from, password included.
    PGPASSWORD="$REPLICATION_PASSWORD" pg_basebackup --host="$PRIMARY_HOST" --username=replicator \
        --pgdata="$copy" --write-recovery-conf --wal-method=stream --checkpoint=fast
    mv "$copy" "$PGDATA"
fi

exec docker-entrypoint.sh "$@"
