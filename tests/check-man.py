#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual page knows every command, option and variable, and no others.

    check-man.py --source DIR --evp PROGRAM [--page evp.1]
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

OPTION = re.compile(r'(?<![\w-])--[a-z][a-z-]+')
VARIABLE = re.compile(r'"(EVP_[A-Z_]+)"')
OF_THE_TESTS = {'EVP_LOCALEDIR'}


def help_of(program, *arguments):
    result = subprocess.run([program, *arguments, '--help'], capture_output=True, text=True, timeout=30,
                            env=dict(os.environ, LC_ALL='C.UTF-8', LANGUAGE=''))
    if result.returncode != 0:
        sys.exit(f'evp {" ".join(arguments)} --help failed: {result.stderr}')
    return result.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--source', type=pathlib.Path, required=True)
    parser.add_argument('--evp', required=True)
    parser.add_argument('--page', help='the formatted page: groff must be content with it')
    arguments = parser.parse_args()

    text = (arguments.source / 'doc' / 'man' / 'evp.rst').read_text(encoding='utf-8')
    synopsis = text.partition('SYNOPSIS')[2].partition('DESCRIPTION')[0]
    examples = text.partition('\nEXAMPLES\n')[2]
    described = text.replace(examples, '')
    commands = sorted(set(re.findall(r'\*\*evp ([a-z]+)\*\*', synopsis)))
    complaints = []

    top = help_of(arguments.evp)
    listed = re.findall(r'^  evp ([a-z]+)\s{2,}\S', top, re.M)
    if not listed:
        complaints.append('evp --help lists no command')
    for command in sorted(set(listed) - {'help'} - set(commands)):
        complaints.append(f'evp {command} is not in the synopsis')
    for command in commands:
        if not re.search(rf'\b{command}\b', top):
            complaints.append(f'evp {command} is in the synopsis, but evp --help does not know it')

    known = set(OPTION.findall(top))
    for command in commands:
        options = set(OPTION.findall(help_of(arguments.evp, command)))
        known |= options
        section = re.search(rf'^evp {command}\n-+\n(.*?)(?=^evp [a-z]+\n-+\n|^[A-Z ]+\n=+\n)', described, re.M | re.S)
        if not section:
            complaints.append(f'evp {command} has no section')
            continue
        for option in sorted(options - {'--help'} - set(OPTION.findall(section.group(1)))):
            complaints.append(f'evp {command} {option} is not described')
    for option in sorted(set(OPTION.findall(described)) - known):
        complaints.append(f'{option} is described, but no command has it')

    read = set()
    for path in (arguments.source / 'evp').rglob('*.c'):
        read |= set(VARIABLE.findall(path.read_text(encoding='utf-8'))) - OF_THE_TESTS
    environment = set(re.findall(r'^(EVP_[A-Z_]+)$', text, re.M))
    for name in sorted(read - environment):
        complaints.append(f'the variable {name} is not described')
    if not read:
        complaints.append('no variable was found in the sources')

    if arguments.page and shutil.which('groff'):
        warnings = subprocess.run(['groff', '-man', '-Tutf8', '-ww', '-z', '-K', 'utf-8', arguments.page],
                                  capture_output=True, text=True).stderr
        complaints += warnings.splitlines()

    for complaint in complaints:
        print(complaint)
    print(f'{len(commands)} commands, {len(known)} options, {len(read)} variables, {len(complaints)} complaints')
    return 1 if complaints or not commands else 0


if __name__ == '__main__':
    sys.exit(main())
