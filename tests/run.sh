#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# All tests, from a fresh machine: installs what is missing, builds, and runs
#
#   1. everything, built with the default compiler,
#   2. the C tests of the lower floors, built with clang, without introspection and io_uring,
#   3. the C tests under the address and undefined-behaviour sanitizers, leaks included,
#   4. the C tests under the thread sanitizer,
#   5. the C tests under valgrind: of the floors that talk to the kernel; with --all, of all.
#
# The last line is "N passed, N failed, N skipped", counted case by case.
#
#   sh tests/run.sh            all of it
#   sh tests/run.sh --quick    only 1
#   sh tests/run.sh --all      with what takes longest, too: stress and net in 4, every floor in 5

set -u

top=$(cd "$(dirname "$0")/.." && pwd) || exit 1

quick=false
all=false
for argument in "$@"; do
  case $argument in
    --quick) quick=true ;;
    --all) all=true ;;
    *) echo "usage: sh tests/run.sh [--quick | --all]" >&2; exit 2 ;;
  esac
done

. "$top/tests/prepare.sh"

LC_ALL=C.UTF-8
export LC_ALL
# the tests set these where they need them
unset EVP_POLICY EVP_CHILD_WATCHER EVP_SELECTOR EVP_PROACTOR EVP_DEBUG
unset G_DEBUG G_MESSAGES_DEBUG G_ENABLE_DIAGNOSTIC DESTDIR MESON_TESTTHREADS

# what report.py gets to read: the logs of meson, and what did not even come so far
results=

# what the tests are started with
around=

# run LABEL DIR, then the arguments for "meson test"
run ()
{
  label=$1
  dir=$2
  shift 2
  testlog=testlog
  if [ "${1-}" = --setup ]; then
    testlog=testlog-$2
  fi
  rm -f "$dir/meson-logs/$testlog".*
  # whether they all passed is for report.py to find out, from the log
  $around "$meson" test -C "$dir" --no-rebuild --print-errorlogs "$@"
  results="$results $label=$dir/meson-logs/$testlog.json"
}

cannot ()
{
  echo "This configuration could not be $2." >&2
  results="$results $1=could-not-be-$2"
}

prepare build languages tests
prepare_npm
find_meson

say "1. Everything"
# shellcheck disable=SC2086
if ! configure "$top/_build" -Dtests=true -Dexamples=true -Dcontract=true -Dwerror=true $features; then
  cannot everything configured
else
  sed -n '/^  Features/,/^$/p' "$log"
  if build "$top/_build"; then
    # a busy machine is no failure
    run everything "$top/_build" --timeout-multiplier 2
  else
    cannot everything built
  fi
fi

if ! $quick; then
  say "2. clang, without introspection, without io_uring"
  if ! command -v clang >/dev/null 2>&1; then
    echo "There is no clang here: left out."
  elif ! CC=clang CXX=clang++ configure "$top/_build-clang" -Dwerror=true \
           -Dintrospection=disabled -Dio_uring=disabled; then
    cannot clang configured
  elif build "$top/_build-clang"; then
    run clang "$top/_build-clang" --suite base --suite os --suite handle --suite loop
  else
    cannot clang built
  fi

  say "3. Address and undefined-behaviour sanitizers"
  if ! configure "$top/_build-sanitize" -Dwerror=true -Dintrospection=disabled \
         -Db_sanitize=address,undefined; then
    cannot sanitizers configured
  elif build "$top/_build-sanitize"; then
    # the last: the search for leaks fails on the thread-local memory of modules loaded later, TLS's for one
    ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:intercept_tls_get_addr=0
    LSAN_OPTIONS=suppressions=$top/tests/lsan.supp:print_suppressions=0
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    export ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS
    run sanitizers "$top/_build-sanitize" --timeout-multiplier 3 \
      --no-suite house --no-suite interop --no-suite bench --no-suite doc
  else
    cannot sanitizers built
  fi
  unset ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS

  say "4. Thread sanitizer"
  # it warns of a fence, which is between us and the kernel
  if ! configure "$top/_build-threads" -Dintrospection=disabled -Dexamples=false \
         -Db_sanitize=thread; then
    cannot threads configured
  elif build "$top/_build-threads"; then
    # the sanitizer of this compiler may not know the addresses that the kernel picks
    if setarch -R true 2>/dev/null; then
      around='setarch -R'
    fi
    if $all; then
      run threads "$top/_build-threads" --setup tsan
    else
      run threads "$top/_build-threads" --setup tsan --no-suite stress --no-suite net
    fi
    around=
  else
    cannot threads built
  fi

  say "5. Valgrind"
  if [ ! -f "$top/_build/build.ninja" ]; then
    cannot valgrind configured
  elif ! command -v valgrind >/dev/null 2>&1; then
    echo "There is no valgrind here: left out."
  elif $all; then
    run valgrind "$top/_build" --setup valgrind
  else
    run valgrind "$top/_build" --setup valgrind --suite base --suite os --suite selector --suite watcher
  fi
fi

# shellcheck disable=SC2086
python3 "$top/tests/report.py" $results
