#!/bin/sh
# Makes what the services of docker-compose.yml know each other by, where it is not there yet.
#
#   /keys/server   tokens             for the coordinator: every token
#                  client-token       the one for clients, to be handed out
#                  pgpass             for the coordinator: the database's password
#                  database-password  for Postgres
#   /keys/agent    token              for agents
#
# POSTQ_CLIENT_TOKEN and POSTQ_AGENT_TOKEN replace what is there. The database takes its password
# when it is made, so POSTQ_DATABASE_PASSWORD counts at the first start alone.
set -eu
umask 077

server=/keys/server
agent=/keys/agent

fail() {
    echo "postq-keys: $*" >&2
    exit 1
}

random() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# key NAME GIVEN FILE: the value given, else the one in the file, else a new one.
key() {
    value=$2
    [ -n "$value" ] || [ ! -s "$3" ] || value=$(cat "$3")
    [ -n "$value" ] || value=$(random)
    # No blank, colon or backslash: they mean something in the files below.
    case $value in
    *[!A-Za-z0-9._~+/=-]*) fail "$1 may have letters, digits and . _ ~ + / = - only" ;;
    esac
    echo "$value"
}

# keep FILE OWNER: writes its input, whole or not at all.
keep() {
    cat > "$1.new"
    chown "$2" "$1.new"
    mv "$1.new" "$1"
}

given=${POSTQ_DATABASE_PASSWORD:-}
[ ! -s "$server/database-password" ] || given=
password=$(key POSTQ_DATABASE_PASSWORD "$given" "$server/database-password")
client=$(key POSTQ_CLIENT_TOKEN "${POSTQ_CLIENT_TOKEN:-}" "$server/client-token")
worker=$(key POSTQ_AGENT_TOKEN "${POSTQ_AGENT_TOKEN:-}" "$agent/token")

chmod 755 "$server" "$agent"
echo "$password" | keep "$server/database-password" root
echo "*:*:*:*:$password" | keep "$server/pgpass" postq
printf 'client %s\nagent %s\n' "$client" "$worker" | keep "$server/tokens" postq
echo "$client" | keep "$server/client-token" postq
echo "$worker" | keep "$agent/token" postq
