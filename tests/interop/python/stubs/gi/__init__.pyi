# SPDX-License-Identifier: LGPL-2.1-or-later
# As much of PyGObject as our own stub mentions, for the tests; users have PyGObject-stubs.

def require_version(namespace: str, version: str) -> None: ...
