#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tries the quick start and the tests on a fresh machine: a minimal Debian in a temporary folder,
# made by debootstrap from the mirror that this machine uses, with a clean clone of the sources.
# It needs root, debootstrap and git, and leaves nothing behind.
#
#   sh tests/fresh-machine.sh                       both
#   sh tests/fresh-machine.sh COMMAND [ARGUMENT…]   that command, in the clone
#
# FRESH_ROOT names a folder with a minimal Debian that was made before; it is copied, not changed.

set -eu

if [ "${EVP_FRESH_MACHINE-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "This needs root: it makes a root file system." >&2; exit 2; }
  # what is mounted below disappears with the namespace
  exec env EVP_FRESH_MACHINE=inside unshare --mount --propagation private sh "$0" "$@"
fi

top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
root=$work/root

cleanup ()
{
  cd /
  if mountpoint -q "$root"; then
    umount -R "$root" || exit 1
  fi
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -n "${FRESH_ROOT-}" ]; then
  cp -a "$FRESH_ROOT" "$root"
else
  . /etc/os-release
  # the repository that packages of this release come from
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CODENAME)' |
           awk -v name="$VERSION_CODENAME" '$2 == name || $3 == name { print $1; exit }')
  [ -n "$mirror" ] || { echo "No mirror for $VERSION_CODENAME is configured." >&2; exit 2; }
  echo "Making a minimal $PRETTY_NAME"
  debootstrap --variant=minbase "$VERSION_CODENAME" "$root" "$mirror" >"$work/log" 2>&1 ||
    { tail "$work/log" >&2; exit 1; }
fi

# a mount of its own, as the root of a machine is: a mount namespace inside needs it
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys" 2>/dev/null || mount -t sysfs sysfs "$root/sys"
mount --bind /dev "$root/dev"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# the installer writes this one, debootstrap does not
printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
# a proxy between us and npm's registry may have a certificate that only this machine knows
if [ -r "${NODE_EXTRA_CA_CERTS-}" ]; then
  cp "$NODE_EXTRA_CA_CERTS" "$root/root/certificates.pem"
fi
git clone -q --no-hardlinks "$top" "$root/libevp"

inside ()
{
  echo "In the fresh machine: $*"
  env -i HOME=/root TERM="${TERM-dumb}" NODE_EXTRA_CA_CERTS=/root/certificates.pem PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" sh -c 'cd /libevp && exec "$@"' sh "$@"
}

if [ $# -gt 0 ]; then
  inside "$@"
else
  inside sh examples/quickstart.sh
  inside sh tests/run.sh
fi
