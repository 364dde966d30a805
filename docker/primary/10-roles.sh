#!/bin/sh
# The roles of a primary. Run once by the image when the data directory is empty, with the database
# POSTGRES_DB made already.
set -eu

# Passwords go in as variables of psql, which quotes them.
psql --no-psqlrc --set=ON_ERROR_STOP=1 --username=postgres --dbname="$POSTGRES_DB" \
    --set=shop_password="$SHOP_PASSWORD" --set=replication_password="$REPLICATION_PASSWORD" \
    --set=database="$POSTGRES_DB" <<'SQL'
CREATE ROLE shop LOGIN PASSWORD :'shop_password';
ALTER DATABASE :"database" OWNER TO shop;
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'replication_password';
SQL

# The image lets clients in from everywhere by password, but not replicas.
echo 'host replication replicator all scram-sha-256' >> "$PGDATA/pg_hba.conf"
