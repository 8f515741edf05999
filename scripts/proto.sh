#!/bin/sh
# Holds proto/ to its rules (proto/buf.yaml), with buf from npm in target/buf.
#
#   proto.sh check    buf lint; and buf breaking against proto/released.binpb
#   proto.sh release  writes proto/released.binpb, which a release commits and later changes are
#                     compared with
#   proto.sh buf ...  buf itself, where the caller is, such as `buf generate`
set -eu

version=1.75.0
root=$(cd "$(dirname "$0")/.." && pwd)
home=$root/target/buf
buf=$home/node_modules/.bin/buf
released=$root/proto/released.binpb

fail() {
    echo "proto: $*" >&2
    exit 1
}

setup() {
    if [ -x "$buf" ] && [ "$("$buf" --version)" = "$version" ]; then
        return 0
    fi
    command -v npm > /dev/null || fail "no npm on this machine; install it with: apt-get install nodejs npm"
    echo "proto: setting up buf $version in $home" >&2
    mkdir -p "$home"
    npm install --prefix "$home" --no-save --silent --no-fund --no-audit "@bufbuild/buf@$version" >&2 ||
        fail "npm could not install @bufbuild/buf@$version"
}

check() {
    "$buf" lint "$root/proto"
    echo "proto: lint passed"
    (cd "$root/proto" && "$buf" breaking --against "$released")
    echo "proto: nothing that was released is broken"
}

what=${1:-check}
[ $# -eq 0 ] || shift
case "$what" in
check) setup && check ;;
release) setup && "$buf" build "$root/proto" --exclude-source-info -o "$released" ;;
buf) setup && exec "$buf" "$@" ;;
*)
    echo "usage: $0 check|release|buf ARGUMENTS" >&2
    exit 2
    ;;
esac
