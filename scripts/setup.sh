#!/bin/sh
# Installs what PostQ needs on this machine and says what it did. Debian and Ubuntu; elsewhere it
# names what is missing.
#
#   setup.sh build   a C compiler
#   setup.sh demo    that, git and a Postgres server; Docker only where it is installed already
#   setup.sh test    that, PgBouncer, a Docker engine that answers, docker-compose, a static busybox,
#                    what checks systemd units, file systems that tests mount, and for root also `ip` and podman
#   setup.sh postgres  what `make test-postgres` needs: node for npm, git, and PgBouncer
#   setup.sh python  Python 3.10 or later that can make virtual environments
#   setup.sh clients psql, Go, Node, a JDK, Maven, and grpcurl in target/go: what clients/examples are run with
#   setup.sh bench   a Postgres server, and the tools that are measured beside PostQ
set -eu

say() { echo "setup: $*"; }
fail() {
    echo "setup: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        fail "need root for: $*; run it as root, or install sudo"
    fi
}

updated=no
install_packages() {
    command -v apt-get > /dev/null || fail "missing $*; install it with this system's package manager"
    say "installing $*"
    if [ "$updated" = no ]; then
        as_root apt-get update -qq || say "apt-get update failed; trying with the lists there are"
        updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" > /dev/null ||
        fail "apt-get could not install $*; see above"
}

need_build() {
    command -v cargo > /dev/null || fail "no cargo; install Rust from https://rustup.rs"
    command -v cc > /dev/null || install_packages gcc libc6-dev
}

need_git() {
    # The demo reads the history of this repository, tests that of their own.
    command -v git > /dev/null || install_packages git
}

has_postgres() {
    for bin in $(pg_config --bindir 2> /dev/null || true) /usr/lib/postgresql/*/bin \
        /usr/local/pgsql/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
        if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then
            return 0
        fi
    done
    command -v initdb > /dev/null && command -v postgres > /dev/null
}

need_postgres() {
    has_postgres || install_packages postgresql
}

docker_answers() { docker version > /dev/null 2>&1; }

start_docker() {
    if [ -d /run/systemd/system ]; then
        say "starting Docker: systemctl start docker"
        as_root systemctl start docker || return 1
    else
        say "starting Docker: dockerd, its log in /var/log/postq-dockerd.log"
        as_root sh -c 'nohup dockerd > /var/log/postq-dockerd.log 2>&1 < /dev/null &'
    fi
    tries=0
    while [ "$tries" -lt 60 ]; do
        if as_root docker version > /dev/null 2>&1; then
            return 0
        fi
        tries=$((tries + 1))
        sleep 0.5
    done
    return 1
}

need_docker() {
    docker_answers && return 0
    command -v dockerd > /dev/null || install_packages docker.io
    docker_answers && return 0
    as_root docker version > /dev/null 2>&1 || start_docker ||
        fail "no Docker engine answers and none could be started; see /var/log/postq-dockerd.log or \`systemctl status docker\`"
    docker_answers ||
        fail "Docker runs, but $(id -un) may not use it: \`sudo usermod -aG docker $(id -un)\` and log in again, or run this as root"
}

need_compose() {
    docker compose version > /dev/null 2>&1 || command -v docker-compose > /dev/null ||
        install_packages docker-compose
}

need_podman() {
    # As the other engine that agents may have; root starts one in a test.
    [ "$(id -u)" -ne 0 ] || command -v podman > /dev/null || install_packages podman catatonit
}

need_systemd_analyze() {
    # The program alone; nothing is started.
    command -v systemd-analyze > /dev/null || install_packages systemd
}

need_busybox() {
    # Static: it runs in an image that holds nothing else.
    if ! command -v busybox > /dev/null || ldd "$(command -v busybox)" > /dev/null 2>&1; then
        install_packages busybox-static
    fi
}

need_pgbouncer() {
    [ -x /usr/sbin/pgbouncer ] || [ -x /usr/bin/pgbouncer ] || install_packages pgbouncer
}

need_file_systems() {
    # In images, which tests mount: one that shares blocks, one for an engine to fill, one that ignores case.
    PATH=$PATH:/usr/sbin
    command -v mkfs.xfs > /dev/null || install_packages xfsprogs
    command -v mkfs.ext4 > /dev/null || install_packages e2fsprogs
    command -v lowntfs-3g > /dev/null || install_packages ntfs-3g
}

need_ip() {
    # Root cuts the network of an agent in a test.
    [ "$(id -u)" -ne 0 ] || command -v ip > /dev/null || install_packages iproute2
}

need_python() {
    python=${PYTHON:-python3}
    command -v "$python" > /dev/null || install_packages python3 python3-venv
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$python is older than 3.10; install a newer one, or name it by PYTHON"
    # Debian leaves ensurepip to another package; without it there is a venv module, but no venv.
    "$python" -c 'import ensurepip, venv' 2> /dev/null || install_packages python3-venv
}

# version_of COMMAND ...: the first number in what it prints, such as 20 of v20.20.2.
version_of() { "$@" 2>&1 | sed -n 's/[^0-9]*\([0-9][0-9.]*\).*/\1/p' | head -n 1; }

need_go() {
    command -v go > /dev/null || install_packages golang-go
    # From 1.21 on it fetches the version that go.mod names.
    minor=$(version_of go version | cut -d . -f 2)
    [ "${minor:-0}" -ge 21 ] || fail "go is older than 1.21; install a newer one from https://go.dev/dl"
}

need_node() {
    command -v node > /dev/null || install_packages nodejs
    command -v npm > /dev/null || install_packages npm
    major=$(version_of node --version | cut -d . -f 1)
    [ "${major:-0}" -ge 20 ] || fail "node is older than 20; install a newer one from https://nodejs.org"
}

need_java() {
    command -v javac > /dev/null || install_packages default-jdk-headless
    command -v mvn > /dev/null || install_packages maven
}

grpcurl_version=v1.9.3
need_grpcurl() {
    command -v grpcurl > /dev/null && return 0
    go_bin=$(cd "$(dirname "$0")/.." && pwd)/target/go/bin
    [ -x "$go_bin/grpcurl" ] && return 0
    say "building grpcurl $grpcurl_version in $go_bin"
    GOBIN=$go_bin go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$grpcurl_version" ||
        fail "go could not install grpcurl $grpcurl_version; see above"
}

case "${1:-}" in
build)
    need_build
    ;;
demo)
    need_build
    need_git
    need_postgres
    ;;
test)
    need_build
    need_git
    need_postgres
    need_pgbouncer
    need_busybox
    need_ip
    need_file_systems
    need_docker
    need_compose
    need_podman
    need_systemd_analyze
    ;;
python)
    need_python
    ;;
postgres)
    need_build
    need_git
    need_pgbouncer
    need_node
    ;;
clients)
    need_git
    command -v psql > /dev/null || install_packages postgresql-client
    need_go
    need_node
    need_java
    need_grpcurl
    ;;
bench)
    need_build
    need_postgres
    # What PostQ is measured beside; it is used by no test and no program.
    command -v rsync > /dev/null || install_packages rsync
    ;;
*)
    fail "usage: $0 build|demo|test|python|postgres|clients|bench"
    ;;
esac
