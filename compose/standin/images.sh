#!/bin/sh
# Stand-ins for the images that docker-compose.yml takes from a registry, out of this machine's own
# files, for where none can be reached. They are for tests, not for use.
#
#   images.sh PREFIX PROGRAMS CONTEXT
#
# PREFIX-base      a shell and the libraries of the programs; for POSTQ_BASE_IMAGE, POSTQ_BUILD_IMAGE
# PREFIX-postgres  that and this machine's Postgres server; for POSTGRES_IMAGE
# CONTEXT          a build context with the programs of the directory PROGRAMS in dist/
set -eu

[ $# -eq 3 ] || { echo "usage: $0 PREFIX PROGRAMS CONTEXT" >&2; exit 2; }
prefix=$1
programs=$(cd "$2" && pwd)
context=$3
compose=$(cd "$(dirname "$0")/.." && pwd)

fail() {
    echo "stand-ins: $*" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What images take as it is must be readable to their users.
chmod 755 "$work"
umask 022

# with_libraries ROOT FILE...: copies the libraries that these need.
with_libraries() {
    root=$1
    shift
    ldd "$@" 2> /dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// && $2 ~ /^\(/ { print $1 }' |
        sort -u | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
}

make_context() {
    mkdir -p "$context/dist" "$context/compose"
    cp "$compose/Dockerfile" "$compose/keys.sh" "$context/compose/"
    for name in postq postq-agent postq-coordinator; do
        strip -o "$context/dist/$name" "$programs/$name" 2> /dev/null ||
            cp "$programs/$name" "$context/dist/$name"
    done
}

make_base() {
    busybox=$(command -v busybox) || fail "no busybox on this machine; install busybox-static"
    mkdir -p "$1/bin" "$1/etc" "$1/usr/local/bin" "$1/run" "$1/var/lib" "$1/tmp"
    chmod 1777 "$1/tmp"
    cp "$busybox" "$1/bin/busybox"
    for applet in $("$busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
    done
    echo 'root:x:0:0:root:/:/bin/sh' > "$1/etc/passwd"
    echo 'root:x:0:' > "$1/etc/group"
    with_libraries "$1" "$programs/postq" "$programs/postq-agent" "$programs/postq-coordinator"
}

find_server() {
    for bin in $(pg_config --bindir 2> /dev/null || true) /usr/lib/postgresql/*/bin; do
        if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then
            echo "$bin"
            return 0
        fi
    done
    fail "no Postgres server on this machine; install postgresql"
}

# Where a server has its files: relative to its programs, as Debian and Postgres itself lay them out.
make_postgres() {
    bin=$(find_server)
    library=$(dirname "$bin")/lib
    share=$(echo "$bin" | sed -n 's|^/usr/lib/\(postgresql/[^/]*\)/bin$|/usr/share/\1|p')
    [ -n "$share" ] || share=$(dirname "$bin")/share
    mkdir -p "$1$bin" "$1$library" "$1$share" "$1/usr/share/zoneinfo" "$1/usr/local/bin"
    for name in postgres initdb psql pg_isready pg_dump pg_restore createdb dropdb; do
        cp -L "$bin/$name" "$1$bin/$name"
        ln -s "$bin/$name" "$1/usr/local/bin/$name"
    done
    # Without the compiler for queries: it is larger than everything else together.
    for file in "$library"/*.so; do
        case $file in */llvmjit*) ;; *) cp -L "$file" "$1$library/" ;; esac
    done
    cp -RL "$share/." "$1$share"
    [ ! -e /usr/share/zoneinfo/UTC ] || cp -L /usr/share/zoneinfo/UTC "$1/usr/share/zoneinfo/UTC"
    with_libraries "$1" "$1$bin"/* "$1$library"/*.so
    cp "$compose/standin/postgres-entrypoint.sh" "$1/usr/local/bin/docker-entrypoint.sh"
    cat > "$(dirname "$1")/Dockerfile.postgres" << EOF
FROM $prefix-base
COPY $(basename "$1")/ /
RUN echo 'postgres:x:999:999::/var/lib/postgresql:/bin/sh' >> /etc/passwd; \
    echo 'postgres:x:999:' >> /etc/group; \
    mkdir -p /var/run/postgresql /var/lib/postgresql/data; \
    chown -R 999:999 /var/run/postgresql /var/lib/postgresql
ENV PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
EOF
}

make_context
make_base "$work/base"
make_postgres "$work/postgres"
printf 'FROM scratch\nCOPY base/ /\nENV PATH=/usr/local/bin:/bin\nCMD ["sh"]\n' > "$work/Dockerfile.base"
for name in base postgres; do
    tar -C "$work" -cf - "$name" "Dockerfile.$name" |
        docker build --quiet --tag "$prefix-$name" --file "Dockerfile.$name" - > /dev/null ||
        fail "cannot build $prefix-$name"
done
