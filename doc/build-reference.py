#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reference: gi-docgen makes it, and a few things are put right after that.

    build-reference.py --output DIR --style FILE.css -- GI-DOCGEN ARGUMENT…
"""

import argparse
import pathlib
import re
import subprocess
import sys

# a row for an address that the project does not have
EMPTY_ROW = re.compile(r'^\s*<tr><td><em>[^<]*</em></td><td><a href=""[^>]*></a></td></tr>\n', re.M)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--output', type=pathlib.Path, required=True)
    parser.add_argument('--style', type=pathlib.Path, required=True)
    parser.add_argument('command', nargs='+')
    arguments = parser.parse_args()

    status = subprocess.run([*arguments.command, f'--output-dir={arguments.output}'], check=False).returncode
    if status != 0:
        return status
    with (arguments.output / 'style.css').open('a', encoding='utf-8') as style:
        style.write('\n' + arguments.style.read_text(encoding='utf-8'))
    index = arguments.output / 'index.html'
    index.write_text(EMPTY_ROW.sub('', index.read_text(encoding='utf-8')), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
