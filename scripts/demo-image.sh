#!/bin/sh
# Makes the small image of the demo's Docker task out of this machine's static busybox: no network.
set -eu

image=postq-demo-busybox
busybox=$(command -v busybox) || { echo "demo: no busybox on this machine; install busybox-static" >&2; exit 1; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir "$root/bin" "$root/tmp"
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
tar -C "$root" -cf - . | docker import --change 'ENV PATH=/bin' - "$image" > /dev/null
# A busybox that needs libraries would not run in an image that has none.
if ! docker run --rm --network none "$image" busybox true; then
    echo "demo: the busybox of this machine is not static; install busybox-static" >&2
    exit 1
fi
