#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# All tests, from a fresh machine: installs what is missing, builds, and runs
#
#   1. everything, built with the default compiler,
#   2. the C tests of the lower floors, built with clang, without introspection and io_uring,
#   3. the C tests under the address and undefined-behaviour sanitizers, leaks included,
#   4. the C tests under the thread sanitizer,
#   5. the C tests under valgrind.
#
# From 3 on everything is slow, and the tests make do with smaller numbers: hundreds of children in place of thousands.
#
# The last line is "N passed, N failed, N skipped", counted case by case.
#
#   sh tests/run.sh            all of it
#   sh tests/run.sh --quick    only 1
#   sh tests/run.sh --all      with the full numbers in 3, too

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
unset EVP_POLICY EVP_CHILD_WATCHER EVP_SELECTOR EVP_PROACTOR EVP_DEBUG EVP_TEST_SLOW
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
  results="$results $label=${dir##*/}/meson-logs/$testlog.json"
}

cannot ()
{
  echo "This configuration could not be $2." >&2
  results="$results $1=could-not-be-$2"
}

# The folders of 2 to 4, built while the tests of 1 run: these wait for clocks and children more often than for a
# processor. Nothing is said until their turn comes; $ahead/LABEL has what went wrong, in its last line with which step.
build_ahead ()
{
  # it takes what the tests leave
  renice -n 19 -p "$(exec sh -c 'echo $PPID')" >/dev/null 2>&1
  for label in clang sanitizers threads; do
    log=$ahead/log
    (
      case $label in
        clang)
          CC=clang CXX=clang++
          export CC CXX
          set -- -Dwerror=true -Dintrospection=disabled -Dio_uring=disabled
          ;;
        sanitizers)
          # what they look for is there without much optimization, too; but then there are other warnings
          set -- -Dintrospection=disabled -Dcontract=false -Doptimization=1 \
            -Db_sanitize=address,undefined
          ;;
        threads)
          # it warns of a fence, which is between us and the kernel
          set -- -Dintrospection=disabled -Dcontract=false -Dexamples=false -Doptimization=1 \
            -Db_sanitize=thread
          ;;
      esac
      configure "$top/_build-$label" "$@" || { echo configured; exit; }
      build "$top/_build-$label" || { echo built; exit; }
    ) >"$ahead/$label" 2>&1
  done
}

# Whether that folder was built; else why not.
is_built ()
{
  if [ ! -s "$ahead/$1" ]; then
    return 0
  fi
  sed '$d' "$ahead/$1" >&2
  cannot "$1" "$(tail -n 1 "$ahead/$1")"
  return 1
}

prepare build languages tests
prepare_npm
find_meson

builder=
ahead=$(mktemp -d) || exit 1
kill_tree ()
{
  # shellcheck disable=SC2046
  set -- "$1" $(ps -o pid= --ppid "$1" 2>/dev/null)
  kill "$1" 2>/dev/null
  shift
  for child in "$@"; do
    kill_tree "$child"
  done
}

clean_up ()
{
  if [ -n "$builder" ]; then
    kill_tree "$builder"
  fi
  rm -rf "$log" "$ahead"
}
trap clean_up EXIT

# where tests wait, one more than there are processors keeps these busy
more=$(($(nproc 2>/dev/null || echo 2) + 1))

say "1. Everything"
# shellcheck disable=SC2086
if ! configure "$top/_build" -Dtests=true -Dexamples=true -Dcontract=true -Dwerror=true $features; then
  cannot everything configured
  built=false
else
  sed -n '/^  Features/,/^$/p' "$log"
  if build "$top/_build"; then
    built=true
  else
    cannot everything built
    built=false
  fi
fi
if ! $quick; then
  build_ahead &
  builder=$!
fi
if $built; then
  # a busy machine is no failure
  run everything "$top/_build" --timeout-multiplier 2
fi

if ! $quick; then
  wait "$builder"
  builder=

  say "2. clang, without introspection, without io_uring"
  if ! command -v clang >/dev/null 2>&1; then
    echo "There is no clang here: left out."
  elif is_built clang; then
    run clang "$top/_build-clang" --suite base --suite os --suite handle --suite loop
  fi

  say "3. Address and undefined-behaviour sanitizers"
  if is_built sanitizers; then
    # the last: the search for leaks fails on the thread-local memory of modules loaded later, TLS's for one
    ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:intercept_tls_get_addr=0
    LSAN_OPTIONS=suppressions="'$top/tests/lsan.supp'":print_suppressions=0
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    export ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS
    if ! $all; then
      EVP_TEST_SLOW=1
      export EVP_TEST_SLOW
    fi
    run sanitizers "$top/_build-sanitizers" --num-processes "$more" --timeout-multiplier 3 \
      --no-suite house --no-suite interop --no-suite bench --no-suite doc
  fi
  unset ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS EVP_TEST_SLOW

  say "4. Thread sanitizer"
  if is_built threads; then
    # the sanitizer of this compiler may not know the addresses that the kernel picks
    if setarch -R true 2>/dev/null; then
      around='setarch -R'
    fi
    run threads "$top/_build-threads" --setup tsan --num-processes "$more"
    around=
  fi

  say "5. Valgrind"
  if ! $built; then
    cannot valgrind built
  elif ! command -v valgrind >/dev/null 2>&1; then
    echo "There is no valgrind here: left out."
  else
    run valgrind "$top/_build" --setup valgrind --num-processes "$more"
  fi
fi

# shellcheck disable=SC2086
(cd "$top" && exec python3 tests/report.py $results)
