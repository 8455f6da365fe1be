#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every public function says what a caller must know.

    check-docs.py --source DIR
    check-docs.py --self-test

gi-docgen sees to it that everything has a comment. This looks at what the comments say:

* a function, a callback type and a signal: from which thread;
* a function: what it costs, as O(1) or O(n);
* a function that can fail: with which errors;
* the slots of a class: from which thread, in the comment of its structure;
* all of them: since when.

Properties are left out: their getters and setters say it.
"""

import argparse
import pathlib
import re
import sys

FUNCTION = re.compile(r'^EVP_AVAILABLE_IN_\w+\n(?!G_DECLARE)([^;{]*?\b(evp_\w+)\s*\([^;]*);', re.M)
CALLBACK = re.compile(r'^typedef [^;{]*?\(\*\s*(Evp\w+)\)\s*\(', re.M)
COMMENT = re.compile(r'^[ \t]*/\*\*\n(.*?)\*/', re.M | re.S)
PARAMETER = re.compile(r'^@\w+:.*(?:\n[ \t]+\S.*)*\n', re.M)

THREAD = re.compile(r'\bthreads?\b|\bthrough the loop\b', re.I)
COST = re.compile(r'\bO\([^)]+\)|[Ff]or the cost\b|costs the same\b')
ERRORS = re.compile(r'%(?:EVP|G_\w*?)_ERROR|^Errors: |\b[Ff]ails with what\b|\bthe same errors\b|^Never fails', re.M)
SINCE = re.compile(r'^Since: \d+\.\d+$', re.M)
NAME = re.compile(r'^([\w:-]+?):(?:\s|$)')


def read_comments(texts):
    """Comments by the name they are about."""
    comments = {}
    for text in texts:
        for match in COMMENT.finditer(text):
            body = re.sub(r'^[ \t]*\* ?', '', match.group(1), flags=re.M)
            name = NAME.match(body)
            if name:
                comments[name.group(1)] = body.partition('\n')[2]
    return comments


def check(headers, sources):
    """Returns complaints, and how many things were looked at."""
    functions = {}
    callbacks = set()
    for text in headers:
        functions.update((match.group(2), match.group(1)) for match in FUNCTION.finditer(text))
        callbacks.update(CALLBACK.findall(text))
    comments = read_comments([*headers, *sources])
    complaints = []

    def need(name, comment, pattern, what):
        if not pattern.search(PARAMETER.sub('', comment)):
            complaints.append(f'{name} does not say {what}')

    for name, declaration in functions.items():
        if name.endswith(('_get_type', '_quark')):
            continue
        comment = comments.get(name)
        if comment is None:
            complaints.append(f'{name} has no comment')
            continue
        need(name, comment, THREAD, 'from which thread')
        need(name, comment, COST, 'what it costs')
        need(name, comment, SINCE, 'since when')
        if re.search(r'\bGError\s*\*\*', declaration):
            need(name, comment, ERRORS, 'with which errors it fails')
    for name in callbacks:
        if name not in comments:
            complaints.append(f'{name} has no comment')
            continue
        need(name, comments[name], THREAD, 'from which thread')
        need(name, comments[name], SINCE, 'since when')

    tables = set()
    for name, comment in comments.items():
        owner, colons, _ = name.partition('::')
        if colons:
            need(name, comment, SINCE, 'since when')
            if owner.endswith(('Class', 'Interface')):
                tables.add(owner)
            else:
                need(name, comment, THREAD, 'from which thread')
        elif name.startswith('Evp') and ':' in name:
            need(name, comment, SINCE, 'since when')
    for name in tables:
        need(name, comments.get(name, ''), THREAD, 'from which thread its slots are called')
    return complaints, len(functions) + len(callbacks) + len(comments)


def self_test():
    header = '''
EVP_AVAILABLE_IN_1_0
gboolean evp_thing_do (EvpThing *self,
                       GError  **error);
'''
    good = '''
/**
 * evp_thing_do:
 * @self: a thing
 * @error: return location for an error
 *
 * Does it. May be called from any thread. O(1).
 *
 * Errors: %EVP_ERROR_FAILED.
 *
 * Returns: whether
 *
 * Since: 1.0
 */
'''
    assert check([header], [good])[0] == []
    for without, complaint in [('from any thread', 'thread'), ('O(1)', 'costs'), ('Errors: %EVP_ERROR_FAILED', 'errors'),
                               ('Since: 1.0', 'since'), ('evp_thing_do:', 'no comment')]:
        complaints = check([header], [good.replace(without, '')])[0]
        assert len(complaints) == 1 and complaint in complaints[0], (without, complaints)
    # what is said of a parameter is not said of the function
    assert check([header], [good.replace('a thing', 'from any thread').replace('called from any thread', 'called')])[0]
    assert check(['typedef void (* EvpDone) (gpointer user_data);'], [])[0] == ['EvpDone has no comment']
    assert check([], ['/**\n * EvpThing::done:\n *\n * Done.\n *\n * Since: 1.0\n */\n'])[0]
    assert check([], ['/**\n * EvpThingClass::go:\n *\n * Goes.\n *\n * Since: 1.0\n */\n'])[0]
    print('check-docs: self-test passed')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--source', type=pathlib.Path)
    parser.add_argument('--self-test', action='store_true')
    arguments = parser.parse_args()

    if arguments.self_test:
        self_test()
        return 0
    files = sorted((arguments.source / 'evp').rglob('*.[ch]'))
    headers = [path.read_text(encoding='utf-8') for path in files
               if path.suffix == '.h' and not path.name.endswith('-private.h')]
    sources = [path.read_text(encoding='utf-8') for path in files
               if path.suffix == '.c' or path.name.endswith('-private.h')]
    complaints, number = check(headers, sources)
    if number < 400:
        complaints.append(f'only {number} names were found')
    for complaint in sorted(complaints):
        print(complaint)
    print(f'{number} names, {len(complaints)} complaints')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
