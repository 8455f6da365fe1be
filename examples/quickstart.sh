#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From a fresh machine to running programs: installs what is missing, builds libevp into _build/,
# shows what this machine can do, runs a list of commands on one loop, and then a Python program
# that brings a policy of its own.
#
#   sh examples/quickstart.sh

set -u

top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$top/tests/prepare.sh"

prepare build languages

say "Building libevp into _build"
# shellcheck disable=SC2086
if [ -f "$top/_build/build.ninja" ]; then
  configure "$top/_build" $features || exit 1
else
  configure "$top/_build" -Dtests=false -Dcontract=false $features || exit 1
fi
build "$top/_build" || exit 1
echo "Done."

# what is not installed finds its library and its bindings through these
LD_LIBRARY_PATH=$top/_build/evp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
GI_TYPELIB_PATH=$top/_build/introspection${GI_TYPELIB_PATH:+:$GI_TYPELIB_PATH}
PYTHONPATH=$top/introspection/python
export LD_LIBRARY_PATH GI_TYPELIB_PATH PYTHONPATH
evp=$top/_build/evp/tool/evp

say "evp info: what this machine can do"
"$evp" info || exit 1

# the commands write their files into a folder that goes away again
scratch=$(mktemp -d) || exit 1
trap 'rm -f "$log"; rm -rf "$scratch"' EXIT

say "evp run: many commands on one loop, eight at a time (examples/commands.txt)"
(cd "$scratch" && "$evp" run -j 8 <"$top/examples/commands.txt") || exit 1

say "The same with another policy, another child watcher, and JSON: the last three commands"
(cd "$scratch" && "$evp" run --policy main-context --watcher threaded -j 8 --json \
   <"$top/examples/commands.txt" >json 2>errors) || { cat "$scratch/errors" >&2; exit 1; }
tail -n 3 "$scratch/json"

say "A policy written in Python, for the whole process (examples/python/custom-policy.py)"
/usr/bin/python3 "$top/examples/python/custom-policy.py" || exit 1

say "That was it"
cat <<EOF
Next: README.md, the pages in doc/, the programs in examples/,
and "sh tests/run.sh" for the tests.
EOF
