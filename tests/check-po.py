#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Translations: every file with messages is listed, and every language has every message.

    check-po.py [SOURCE_DIR]

The messages are taken afresh from the sources, so a message that nobody has merged into the .po
files yet counts as untranslated.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

USES = re.compile(r'(?<![\w"])(?:_|N_|C_|ngettext|evp_ngettext)\s*\(\s*["\']')


def call(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **options)


def main():
    source = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    po = source / 'po'
    problems = []

    listed = [line.strip() for line in (po / 'POTFILES.in').read_text(encoding='utf-8').splitlines()
              if line.strip() and not line.startswith('#')]
    paths = [*(source / 'evp').rglob('*.[ch]'), *(source / 'introspection').rglob('overrides/Evp.*')]
    using = {str(path.relative_to(source)) for path in sorted(paths) if USES.search(path.read_text(encoding='utf-8'))}
    problems += [f'{path} has messages, but is not in po/POTFILES.in' for path in sorted(using - set(listed))]
    problems += [f'{path} is in po/POTFILES.in, but has no messages' for path in sorted(set(listed) - using)]
    if listed != sorted(listed):
        problems.append('po/POTFILES.in is not sorted')

    if not shutil.which('xgettext') or not shutil.which('msgfmt'):
        print('\n'.join(problems))
        print('gettext is not installed')
        return 1 if problems else 77

    # the same arguments as in po/meson.build
    build = (po / 'meson.build').read_text(encoding='utf-8')
    arguments = re.findall(r"'(--(?:from-code|keyword|flag|add-comments)=[^']+)'", build)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        call('xgettext', *arguments, '--directory', source, '--output', folder / 'now.pot', *sorted(using))
        for language in (po / 'LINGUAS').read_text(encoding='utf-8').split():
            call('msgmerge', '--no-fuzzy-matching', '--quiet', '--output-file', folder / 'merged.po',
                 po / f'{language}.po', folder / 'now.pot')
            result = subprocess.run(['msgfmt', '--check', '--statistics', '--output-file', '/dev/null',
                                     folder / 'merged.po'], capture_output=True, text=True, env={'LC_ALL': 'C', 'PATH': '/usr/bin:/bin'})
            print(f'{language}: {result.stderr.strip()}')
            if result.returncode != 0 or re.search(r'fuzzy|untranslated', result.stderr):
                missing = call('msgattrib', '--untranslated', '--no-wrap', folder / 'merged.po').stdout
                problems.append(f'{language}.po is not complete (run "ninja evp-1-update-po" and translate):\n{missing}')
            committed = call('msgattrib', '--only-fuzzy', '--no-obsolete', po / f'{language}.po').stdout
            if 'msgid' in committed:
                problems.append(f'{language}.po has fuzzy entries')

    print('\n'.join(problems))
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
