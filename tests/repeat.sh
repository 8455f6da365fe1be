#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The tests of watchers, threads and signals, again and again, more at once than there are processors:
# what fails once in a hundred times under load fails here.
#
#   sh tests/repeat.sh BUILD [TIMES [TEST…]]
#
# BUILD is a build folder that is up to date; TIMES is 300 unless told. The last line says how often
# what failed; the logs are in BUILD/meson-logs.

set -u

if [ $# -lt 1 ] || [ ! -f "$1/build.ninja" ]; then
  echo "usage: sh tests/repeat.sh BUILD [TIMES [TEST...]]" >&2
  exit 2
fi
build=$1
times=${2:-300}
shift
[ $# -gt 0 ] && shift
if [ $# -eq 0 ]; then
  set -- os-fork os-signal os-wait child-handler fast-child-watcher glib-child-watcher \
    multi-loop-child-watcher pidfd-child-watcher safe-child-watcher threaded-child-watcher \
    watcher-contract executor future faults
fi

jobs=$(($(nproc 2>/dev/null || echo 2) * 4))
meson=meson
if [ -x /usr/bin/meson ]; then
  meson=/usr/bin/meson
fi
"$meson" test -C "$build" --no-rebuild --repeat "$times" --num-processes "$jobs" --timeout-multiplier 5 \
  --quiet --logbase repeat "$@" >/dev/null
status=$?

python3 - "$build/meson-logs/repeat.json" <<'EOF'
import collections
import json
import sys

runs = collections.Counter()
failures = collections.Counter()
with open(sys.argv[1], encoding='utf-8') as log:
    for line in log:
        run = json.loads(line)
        name = run['name'].split(' / ')[-1]
        runs[name] += 1
        failures[name] += run['result'] not in ('OK', 'SKIP', 'EXPECTEDFAIL')
for name in sorted(runs):
    print(f'{name}: {runs[name]} runs, {failures[name]} failed')
print(f'{sum(runs.values())} runs, {sum(failures.values())} failed')
EOF
exit $status
