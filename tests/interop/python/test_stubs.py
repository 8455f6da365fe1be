# SPDX-License-Identifier: LGPL-2.1-or-later
"""Evp.pyi is true: its names and parameters are those that are there, and mypy finds with it what is wrong."""

import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import evptest
from evptest import Evp

evptest.DEADLINE = 240  # mypy is not fast, and other tests run beside it
HERE = pathlib.Path(__file__).resolve().parent
GENERATOR = HERE.parents[2] / 'introspection' / 'python' / 'generate-stubs.py'
EXAMPLES = HERE.parents[2] / 'examples' / 'python'
BRIDGE = HERE.parents[2] / 'introspection' / 'python' / 'evp_asyncio'
STUB = pathlib.Path(os.environ['EVP_TEST_STUB'])
MYPY = os.environ.get('EVP_TEST_MYPY')

# what every GObject or boxed type has, and what is no business of a program's
COMMON = {'ref', 'unref', 'props', 'Props', 'copy', 'free'}

OUT = 1  # of GIDirection


def type_of(argument):
    """As it is called in this PyGObject."""
    return argument.get_type_info() if hasattr(argument, 'get_type_info') else argument.get_type()


def index_of(info, what):
    """The parameter that it says something about; newer PyGObjects say what the number is."""
    name = f'get_{what}_index'
    return getattr(info, name if hasattr(info, name) else f'get_{what}')()


def is_struct(value):
    return re.search(r'(Class|Interface)$', getattr(value, '__name__', '')) is not None


class Names(evptest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = ast.parse(STUB.read_text(encoding='utf-8'))
        cls.classes = {node.name: node for node in cls.tree.body if isinstance(node, ast.ClassDef)}

    def members(self, node):
        names = {item.name for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))}
        return names | {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}

    def parents(self, name):
        for base in self.classes[name].bases:
            if isinstance(base, ast.Name) and base.id in self.classes:
                yield base.id
                yield from self.parents(base.id)

    # the stub says what the namespace has
    def test_namespace(self):
        stub = set(self.classes)
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef):
                stub.add(node.name)
            elif isinstance(node, ast.AnnAssign):
                stub.add(node.target.id)
        stub = {name for name in stub if not name.startswith('_')}
        # the last two are methods, and functions only in the typelib
        there = {name for name in dir(Evp) if not name.startswith('_') and not is_struct(getattr(Evp, name))}
        self.assertEqual(stub, there - {'child_watcher_new_default', 'error_quark'})

    # and each class has the methods that the stub gives it, and no others
    def test_members(self):
        for name, node in self.classes.items():
            if name.startswith('_'):
                continue
            cls = getattr(Evp, name)
            with self.subTest(name):
                stub = self.members(node)
                for member in stub - COMMON:
                    self.assertTrue(hasattr(cls, member) or member.startswith('do_'), f'{name}.{member} is not there')
                expected = set()
                info = cls.__info__ if hasattr(cls, '__info__') else None
                if hasattr(info, 'get_methods'):
                    expected |= {method.get_name() for method in info.get_methods()}
                if hasattr(info, 'get_vfuncs'):
                    expected |= {'do_' + slot.get_name() for slot in info.get_vfuncs()}
                if hasattr(info, 'get_values'):
                    expected |= {value.get_name().upper() for value in info.get_values()}
                # what the override adds
                expected |= {member for member, value in vars(cls).items()
                             if not member.startswith('_') and cls.__module__.startswith('gi.overrides')
                             and not member.startswith('do_')}
                inherited = set().union(*(self.members(self.classes[parent]) for parent in self.parents(name)))
                self.assertLessEqual(expected - inherited, stub)

    # parameters have the names and the order that PyGObject's introspection data give
    def test_parameters(self):
        count = 0
        for name, node in self.classes.items():
            if name.startswith('_'):
                continue
            info = getattr(getattr(Evp, name), '__info__', None)
            methods = {method.get_name(): method for method in info.get_methods()} \
                if hasattr(info, 'get_methods') else {}
            for item in node.body:
                if not isinstance(item, ast.FunctionDef) or item.name not in methods or item.args.vararg is not None:
                    continue
                method = methods[item.name]
                skip = set()
                for argument in method.get_arguments():
                    skip |= {index_of(argument, 'closure'), index_of(argument, 'destroy'),
                             index_of(type_of(argument), 'array_length')}
                there = [argument.get_name() for index, argument in enumerate(method.get_arguments())
                         if index not in skip and int(argument.get_direction()) != OUT]
                stub = [argument.arg.rstrip('_') for argument in item.args.args]
                if stub and stub[0] in ('self', 'cls'):
                    stub = stub[1:]
                # the override's own may call them otherwise, but there are as many
                self.assertEqual(len(stub), len(there), f'{name}.{item.name}: {stub}, {there}')
                if not any(isinstance(decorator, ast.Name) for decorator in item.decorator_list):
                    count += stub == there
        self.assertGreater(count, 200)

    # properties are those of the type
    def test_properties(self):
        for name, node in self.classes.items():
            if name.startswith('_') or not hasattr(getattr(Evp, name), 'list_properties'):
                continue
            there = {spec.name.replace('-', '_') for spec in getattr(Evp, name).list_properties()}
            stub = set()
            for each in [name, *self.parents(name)]:
                for item in self.classes[each].body:
                    if isinstance(item, ast.ClassDef) and item.name == 'Props':
                        stub |= self.members(item)
            self.assertEqual(stub, there, name)


    # what is written by hand returns what the GIR says, but for what the override returns instead
    def test_returns(self):
        with tempfile.TemporaryDirectory(prefix='evp-stubs-') as folder:
            empty, plain = pathlib.Path(folder) / 'empty.pyi', pathlib.Path(folder) / 'plain.pyi'
            empty.touch()
            subprocess.run([sys.executable, GENERATOR, os.environ['EVP_TEST_GIR'], empty, plain], check=True)
            generated = ast.parse(plain.read_text(encoding='utf-8'))
        there = self.returns(generated)
        stub = self.returns(self.tree)
        self.assertEqual({name for name, value in there.items() if stub[name] != value}, {
            'AbstractEventLoop.call_soon_threadsafe', 'AbstractEventLoop.run_forever',
            'AbstractEventLoop.run_in_executor', 'AbstractEventLoop.run_until_complete', 'Executor.submit',
            'Future.await_finish', 'Future.get_result', 'Subprocess.get_returncode'})

    @staticmethod
    def returns(tree):
        return {f'{node.name}.{item.name}': ast.unparse(item.returns) for node in tree.body
                if isinstance(node, ast.ClassDef) for item in node.body if isinstance(item, ast.FunctionDef)}


@unittest.skipUnless(MYPY, 'there is no mypy')
class Mypy(evptest.TestCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix='evp-stubs-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        shutil.copytree(HERE / 'stubs', self.folder / 'stubs')
        shutil.copy(STUB, self.folder / 'stubs' / 'gi' / 'repository' / 'Evp.pyi')

    def mypy(self, *arguments):
        environment = {**os.environ, 'MYPYPATH': str(self.folder / 'stubs')}
        environment.pop('PYTHONPATH', None)
        done = subprocess.run([MYPY, '--no-error-summary', '--no-color-output', '--hide-error-context',
                               '--show-error-codes', '--no-incremental', '--python-executable', sys.executable,
                               *map(str, arguments)], env=environment, cwd=self.folder, text=True, capture_output=True,
                              timeout=evptest.DEADLINE)
        self.assertIn(done.returncode, (0, 1), done.stdout + done.stderr)
        return done.stdout

    # the stub itself is right
    def test_stub(self):
        self.assertEqual(self.mypy('--strict', self.folder / 'stubs' / 'gi' / 'repository' / 'Evp.pyi'), '')

    # a typed program: every mistake in it is found, and nothing else is one
    def test_program(self):
        program = HERE / 'typed-program.py'
        expected = [(number, line.split('# wrong: ')[1]) for number, line
                    in enumerate(program.read_text(encoding='utf-8').splitlines(), 1) if '# wrong: ' in line]
        self.assertGreater(len(expected), 10)
        output = self.mypy('--strict', program)
        found = [(int(line), code) for line, code in re.findall(r':(\d+): error: .*\[([\w-]+)\]$', output, re.M)]
        self.assertEqual(sorted(found), expected, output)

    # the examples are right, bodies of functions without types included
    def test_examples(self):
        copies = []
        for example in sorted(EXAMPLES.glob('*.py')):
            copy = self.folder / example.name.replace('-', '_')
            shutil.copy(example, copy)
            copies.append(copy)
        self.assertGreater(len(copies), 8)
        shutil.copytree(BRIDGE, self.folder / 'stubs' / 'evp_asyncio')
        self.assertEqual(self.mypy('--check-untyped-defs', '--follow-imports=silent', *copies), '')


if __name__ == '__main__':
    evptest.main()
