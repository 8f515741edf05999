#!/bin/sh
# As much of the official Postgres image's entry point as docker-compose.yml relies on: POSTGRES_USER,
# POSTGRES_DB, and POSTGRES_PASSWORD or a file with it. Starts as root, serves as postgres.
set -eu

if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
    export POSTGRES_PASSWORD
    unset POSTGRES_PASSWORD_FILE
fi
if [ "$(id -u)" -eq 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres "$PGDATA"
    chmod 700 "$PGDATA"
    exec su -p -s /bin/sh postgres "$0" "$@"
fi

user=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?a new database needs a password}"
    pwfile=$(mktemp)
    echo "$POSTGRES_PASSWORD" > "$pwfile"
    initdb --username="$user" --pwfile="$pwfile" --auth-local=trust --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C --no-sync "$PGDATA"
    rm "$pwfile"
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    [ "${POSTGRES_DB:-$user}" = postgres ] ||
        echo "create database \"${POSTGRES_DB:-$user}\"" | postgres --single -j -D "$PGDATA" postgres
fi
unset POSTGRES_PASSWORD
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
