# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What examples/quickstart.sh and tests/run.sh have in common; both read this file with ".".
# It expects $top, the source folder, and offers:
#
#   prepare NEED…       installs what is missing for: build, languages, tests
#   configure DIR OPTS  configures a build folder, or brings it up to date
#   build DIR           compiles it
#   say TEXT            a heading
#   $features           options for what has to be there, now that its packages are

# The system's own programs come first: another python3 on the path would have no PyGObject, and
# several of the tools below are Python scripts that ask for whatever python3 is first.
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
export PATH

say ()
{
  printf '\n== %s\n' "$*"
}

die ()
{
  printf '%s\n' "$*" >&2
  exit 1
}

# Debian's names; what each is for stands beside it.
packages_for ()
{
  case $1 in
    build)
      echo gcc libc6-dev meson ninja-build pkg-config libglib2.0-dev
      echo liburing-dev                     # probing for io_uring
      echo gettext                          # translated messages
      ;;
    languages)
      echo gobject-introspection libgirepository1.0-dev python3 python3-gi
      ;;
    tests)
      echo g++ clang                        # the headers as C++, the second compiler
      echo libclang-rt-dev                  # libFuzzer
      echo gjs valac lua-lgi lua5.3         # the other languages
      echo mypy                             # the types of the Python binding
      echo nodejs                           # those for TypeScript
      command -v npm >/dev/null 2>&1 || echo npm
      echo glib-networking libgnutls28-dev  # TLS, and the certificates that its tests make
      echo libsoup-3.0-dev gir1.2-soup-3.0 nghttp2-server  # HTTP over connections of ours
      echo valgrind                         # memory, looked at once more
      echo libssl-dev                       # <evp/evp.h> beside <openssl/evp.h>
      echo openssl                          # certificates, in the examples
      echo python3-docutils gi-docgen       # manual page and reference
      echo libgtk-4-dev gir1.2-gtk-4.0 xvfb xauth  # the loop under a GtkApplication
      echo python3-aiohttp python3-websockets python3-dbus-next python3-uvicorn python3-httpx dbus-daemon  # on our loop
      ;;
    asyncio)
      # CPython's own tests of asyncio, for the Python that is there by now
      echo "libpython$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')-testsuite"
      ;;
  esac
}

hints ()
{
  cat >&2 <<EOF
Please install a C compiler, Meson 1.0 or later, Ninja, pkg-config, the development files of
GLib 2.74 or later, gobject-introspection and PyGObject, then run this script again:

  Fedora   dnf install gcc gcc-c++ clang compiler-rt meson ninja-build pkgconf-pkg-config glib2-devel \\
             liburing-devel gettext gobject-introspection-devel python3-gobject gjs vala \\
             glib-networking gnutls-devel libsoup3-devel nghttp2 openssl-devel python3-docutils gi-docgen \\
             gtk4-devel xorg-x11-server-Xvfb lua-lgi python3-mypy nodejs npm
  Arch     pacman -S --needed base-devel clang compiler-rt meson ninja pkgconf glib2-devel liburing gettext \\
             gobject-introspection python-gobject gjs vala glib-networking gnutls libsoup3 nghttp2 openssl \\
             python-docutils gi-docgen gtk4 xorg-server-xvfb lua-lgi lua mypy nodejs npm
EOF
}

# Without apt nothing is installed: it is enough that the essential programs are there.
check_without_apt ()
{
  for program in cc meson ninja pkg-config g-ir-scanner python3; do
    if ! command -v "$program" >/dev/null 2>&1; then
      echo "$program is missing, and this script can install packages with apt-get only." >&2
      hints
      exit 1
    fi
  done
  if ! pkg-config --exists 'gio-unix-2.0 >= 2.74'; then
    echo "GLib 2.74 or later is missing." >&2
    hints
    exit 1
  fi
}

# Those of each NEED that are missing.
install_packages ()
{
  missing=
  for need in "$@"; do
    for package in $(packages_for "$need"); do
      if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
        missing="$missing $package"
      fi
    done
  done
  if [ -z "$missing" ]; then
    return
  fi
  echo "Missing:$missing"

  if [ "$(id -u)" = 0 ]; then
    as_root=
  elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root=sudo
  else
    die "Please run, as root, and then this script again:

  apt-get update && apt-get install$missing"
  fi

  say "Installing packages; this may take a few minutes"
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update ||
    echo "The package lists could not be refreshed; trying with those that are here." >&2
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends $missing >"$log" 2>&1 || {
      tail -n 20 "$log" >&2
      die "The packages could not be installed; the lines above say why."
    }
  echo "Done."
}

features=

prepare ()
{
  say "Looking for what is needed"

  if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    check_without_apt
    return
  fi

  # what could be installed is not left out in silence when something is wrong with it
  features="-Dnls=enabled -Dio_uring=enabled"
  for need in "$@"; do
    case $need in
      languages) features="$features -Dintrospection=enabled -Dpython=enabled" ;;
      tests) features="$features -Dgjs=enabled -Dvapi=enabled -Dman=enabled -Ddocumentation=enabled" ;;
    esac
  done

  install_packages "$@"
  for need in "$@"; do
    if [ "$need" = tests ]; then
      install_packages asyncio
    fi
  done
}

# What checks the types for TypeScript comes from npm, in the versions that its package-lock.json
# names. Without npm, or a network, that test is skipped.
prepare_npm ()
{
  folder=$top/tests/interop/gjs/types
  if [ -x "$folder/node_modules/.bin/tsc" ] &&
     [ "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ]; then
    return
  fi
  command -v npm >/dev/null 2>&1 || return 0
  say "Installing TypeScript for a test"
  npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    echo "It could not be installed: the types for TypeScript are not tested." >&2
  }
}

find_meson ()
{
  if [ -x /usr/bin/meson ]; then
    meson=/usr/bin/meson
  else
    meson=$(command -v meson) || die "meson is missing."
  fi
}

configure ()
{
  dir=$1
  shift
  find_meson
  if [ -f "$dir/build.ninja" ]; then
    # a folder from another time may be beyond repair: then it is made anew
    "$meson" setup --reconfigure "$dir" "$top" "$@" >"$log" 2>&1 && return
    rm -rf "$dir"
  fi
  "$meson" setup "$dir" "$top" "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    return 1
  }
}

build ()
{
  ninja -C "$1" >"$log" 2>&1 || {
    grep -v '^\[' "$log" | tail -n 60 >&2
    return 1
  }
}

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
