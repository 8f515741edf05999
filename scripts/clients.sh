#!/bin/sh
# Runs the programs of clients/examples against a coordinator that it starts, and fails where one does.
#
#   clients.sh [EXAMPLE ...]   of: grpcurl sql go typescript java; all by default
#
#   POSTQ_BIN   where postq, postq-coordinator and postq-agent are; default: target/debug
#   POSTQ_PORT  the first of two free ports; default: 17432
set -eu
cd "$(dirname "$0")/.."

root=$(pwd)
bin=${POSTQ_BIN:-$root/${CARGO_TARGET_DIR:-target}/debug}
port=${POSTQ_PORT:-17432}
second=$((port + 1))
examples=${*:-grpcurl sql go typescript java}
# Where scripts/setup.sh puts grpcurl.
PATH=$root/target/go/bin:$PATH
work=$(mktemp -d)
# As root the private Postgres runs as another user, who must reach its directory.
chmod 755 "$work"
started=

say() { echo "clients: $*"; }
fail() {
    echo "clients: $*" >&2
    exit 1
}

# Only what was started here, the last one first.
end() {
    code=$?
    trap - EXIT INT TERM
    for pid in $started; do
        kill "$pid" 2> /dev/null || true
        wait "$pid" 2> /dev/null || true
    done
    if [ "$code" -ne 0 ]; then
        say "failed; the end of what was logged:" >&2
        tail -n 15 "$work"/*.log >&2 2> /dev/null || true
    fi
    rm -rf "$work"
    exit "$code"
}
trap end EXIT
trap 'exit 130' INT TERM

# wants PROGRAM HOW: the toolchain of an example is there, or it is said how to install it.
wants() {
    command -v "$1" > /dev/null || fail "no $1 on this machine; install it with: $2"
}

# until_true SECONDS WHAT COMMAND ...
until_true() {
    tries=$(($1 * 10))
    what=$2
    shift 2
    until "$@" > /dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "waited in vain for $what"
        sleep 0.1
    done
}

# told MINIMUM PATTERN FILE: so many lines of a log match.
told() { [ "$(grep -c -- "$2" "$3")" -ge "$1" ]; }

up_or_over() { told 1 '^Submit with' "$work/up.log" || ! kill -0 "$1"; }

sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$database" -c "$1"; }

start_coordinator() {
    for program in postq postq-coordinator postq-agent; do
        [ -x "$bin/$program" ] || fail "no $bin/$program; make it with: make build"
    done
    POSTQ_STATE_DIR=$work/state "$bin/postq" up --agents 1 --slots 2 --listen "127.0.0.1:$port" \
        > "$work/up.log" 2>&1 &
    started="$! $started"
    up=$!
    until_true 60 "a coordinator" up_or_over "$up"
    told 1 '^Submit with' "$work/up.log" || fail "no coordinator came up"
    database=$(sed -n 's/^database  *//p' "$work/up.log")
    export POSTQ_ADDRESS="127.0.0.1:$port"
}

# A second coordinator of the same database, for workers to lose.
start_second() {
    "$bin/postq-coordinator" --database-url "$database" --listen "127.0.0.1:$second" \
        --store "$work/state/store" >> "$work/second.log" 2>&1 &
    second_pid=$!
    started="$second_pid $started"
}

submit() { sql "select postq.submit('{\"tasks\": {\"one\": $1}}')"; }
task() { sql "select $2 from postq.tasks where job_id = '$1'"; }
is() { [ "$(task "$1" "$2")" = "$3" ]; }

# What docs/agent-protocol.md asks of a worker: try_worker PREFIX COMMAND ...
try_worker() {
    prefix=$1
    log=$work/$prefix-worker.log
    shift
    : > "$log"
    start_second
    first_pid=$second_pid
    POSTQ_ADDRESS="127.0.0.1:$second" "$@" >> "$log" 2>&1 &
    worker=$!
    started="$worker $started"
    until_true 20 "the $prefix worker to connect" told 1 connected "$log"

    job=$(submit "{\"handler\": \"$prefix.sum\", \"arguments\": {\"numbers\": [1, 2, 39]}}")
    until_true 20 "a handler's result" is "$job" "state::text || ' ' || (result ->> 'sum')" 'succeeded 42'
    say "$prefix worker: a handler ran and gave its result"

    job=$(submit "{\"handler\": \"$prefix.sum\", \"arguments\": {}, \"retry\": {\"max_attempts\": 5}}")
    until_true 20 "a final failure" is "$job" "state::text || ' ' || attempts" 'failed 1'
    say "$prefix worker: a failure that is final was not tried again"

    job=$(submit "{\"handler\": \"$prefix.wait\", \"arguments\": {\"seconds\": 60}, \"timeout\": \"0.5s\"}")
    until_true 20 "a timeout" is "$job" "state::text || ' ' || outcome" 'failed timed_out'
    say "$prefix worker: a timeout was kept"

    job=$(submit "{\"handler\": \"$prefix.wait\", \"arguments\": {\"seconds\": 60}}")
    until_true 20 "a running handler" told 3 'wait: attempt\|sum: attempt' "$log"
    until_true 20 "a running handler" is "$job" state::text running
    sql "select postq.cancel('$job')" > /dev/null
    until_true 20 "a cancelled handler" is "$job" "state::text || ' ' || outcome" 'cancelled cancelled'
    say "$prefix worker: a cancelled handler stopped and said so"

    # The coordinator dies while one handler runs and another one ends unheard.
    short=$(submit "{\"handler\": \"$prefix.wait\", \"arguments\": {\"seconds\": 1}}")
    long=$(submit "{\"handler\": \"$prefix.wait\", \"arguments\": {\"seconds\": 5}}")
    until_true 20 "two running handlers" is "$short" state::text running
    until_true 20 "two running handlers" is "$long" state::text running
    until_true 20 "two running handlers" told 6 ': attempt ' "$log"
    kill -9 "$second_pid"
    wait "$second_pid" 2> /dev/null || true
    sleep 1.2
    start_second
    until_true 20 "the $prefix worker to come back" told 2 connected "$log"
    for job in "$short" "$long"; do
        until_true 20 "a handler that outlived its stream" \
            is "$job" "state::text || ' ' || attempts || ' ' || crashes" 'succeeded 1 0'
    done
    [ "$(grep -c ': attempt ' "$log")" -eq 6 ] || fail "a handler was started twice"
    say "$prefix worker: running and unheard handlers outlived their coordinator, and ran once"

    # Asked to leave, it takes nothing more, and ends when what it holds is recorded.
    job=$(submit "{\"handler\": \"$prefix.wait\", \"arguments\": {\"seconds\": 2}}")
    until_true 20 "a running handler" is "$job" state::text running
    until_true 20 "a running handler" told 7 ': attempt ' "$log"
    kill "$worker"
    until_true 20 "a new Hello of the worker that leaves" told 3 connected "$log"
    wait "$worker" || fail "the $prefix worker left with an error"
    until_true 20 "the last handler" is "$job" "state::text || ' ' || attempts" 'succeeded 1'
    say "$prefix worker: left when it had nothing to do"

    # Asked by an operator, it gives back what does not end in time.
    : > "$log"
    POSTQ_ADDRESS="127.0.0.1:$second" "$@" >> "$log" 2>&1 &
    drained=$!
    started="$drained $started"
    until_true 20 "the $prefix worker to connect" told 1 connected "$log"
    job=$(submit "{\"handler\": \"$prefix.wait\", \"arguments\": {\"seconds\": 60}}")
    until_true 20 "a running handler" told 1 ': attempt ' "$log"
    # The one before still counts as connected for three seconds, and has the same name.
    until_true 20 "a drain" "$bin/postq" agents drain --coordinator "http://127.0.0.1:$second" --timeout 1s \
        "$prefix-worker"
    wait "$drained" || fail "the $prefix worker left with an error"
    until_true 20 "what was given back" is "$job" "state::text || ' ' || attempts" 'ready 0'
    sql "select postq.cancel('$job')" > /dev/null
    say "$prefix worker: drained, it gave back what had not ended"
    kill "$second_pid"
    wait "$second_pid" 2> /dev/null || true
    drop "$worker" "$drained" "$second_pid" "$first_pid"
}

# Forgets processes that have ended, since others may come to have their ids.
drop() {
    for gone in "$@"; do
        left=
        for pid in $started; do
            [ "$pid" = "$gone" ] || left="$left $pid"
        done
        started=$left
    done
}

run_grpcurl() {
    wants grpcurl "scripts/setup.sh clients"
    clients/examples/grpcurl/submit.sh
}

run_sql() {
    psql -X -v ON_ERROR_STOP=1 "$database" -f clients/examples/sql/submit.sql
}

run_go() {
    wants go "apt-get install golang-go (1.21 or later, which fetches the version of go.mod), or go.dev/dl"
    (cd clients/examples/go && go generate ./... && go vet ./... && go build -o "$work/go/" ./submit ./worker)
    "$work/go/submit"
    try_worker go "$work/go/worker"
}

run_typescript() {
    wants node "apt-get install nodejs (20 or later)"
    wants npm "apt-get install npm"
    (cd clients/examples/typescript && npm ci --silent --no-fund --no-audit && npm run --silent build)
    node clients/examples/typescript/dist/submit.js
    try_worker ts node clients/examples/typescript/dist/worker.js
}

run_java() {
    wants javac "apt-get install default-jdk-headless (17 or later)"
    wants mvn "apt-get install maven"
    (cd clients/examples/java && mvn -q -B compile exec:java)
}

wants psql "apt-get install postgresql-client"
for example in $examples; do
    case "$example" in
    grpcurl | sql | go | typescript | java) ;;
    *) fail "no example named $example; there are: grpcurl sql go typescript java" ;;
    esac
done
start_coordinator
for example in $examples; do
    say "$example"
    "run_$example"
done
say "passed: $examples"
