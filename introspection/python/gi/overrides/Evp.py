# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Evp needs in Python beside its introspection data.

* A Python class that derives from a class of the library gets interface tables of its own, so that
  its ``do_…()`` methods never reach its parent class, and ``super().do_…()`` chains up.
* Callbacks take further arguments, and have the context variables of whoever schedules them, as in
  asyncio. An exception in one goes to the exception handler of the loop. KeyboardInterrupt and
  SystemExit stop the loop and come out of ``run_forever()``; so does Ctrl-C.
* Futures take any value and any exception, and can be awaited.
* Watchers and selectors can be used with ``with``.

Everything else is as the C documentation says. Without this file, list the interface again in each
class that overrides: ``class My(Evp.DefaultEventLoopPolicy, Evp.AbstractEventLoopPolicy)``.
"""

import contextlib
import contextvars
import functools
import inspect
import os
import signal
import socket
import sys
import threading
import traceback

from gi.repository import Gio, GLib, GObject

from .. import _ossighelper
from ..module import get_introspection_module
from ..overrides import override

Evp = get_introspection_module('Evp')

__all__ = []

_interfaces = []
_classes = {}
_thread = threading.local()  # run: what runs a loop in this thread; report: what its handler is told


def _public(item):
    globals()[item.__name__] = item
    __all__.append(item.__name__)
    return item


def _error(code, message):
    return GLib.Error.new_literal(Evp.Error.quark(), message, code)


def _fileno(fd):
    """A number, or something that has one."""
    if isinstance(fd, int):
        return fd
    number = getattr(fd, 'fileno', None) or getattr(fd, 'get_fd', None)
    if not callable(number):
        raise ValueError(f'a file descriptor is needed, or a file, not {fd!r}')
    return number()


def _events(events):
    """Flags; asyncio's are numbers."""
    return Evp.IOEvents(events) if type(events) is int else events


# 32 bits: of an integer of 64 bits that a function in Python returns to C, PyGObject hands over the lower half only.
# Two functions return one, the turn of a TurnSource and the clock of a loop: C gets them without PyGObject.

_IS_NARROW = sys.maxsize < 2**32

if _IS_NARROW:
    import ctypes

    from gi import _gi

    _thunks = {}  # address of what C calls: what calls it, as long as C may
    _drop_thunk = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_thunks.pop)
    for _immortal in (_thunks, _drop_thunk):  # C may call it when this module is gone
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(_immortal))

    def _function(library, name, result, *arguments):
        return ctypes.CFUNCTYPE(result, *arguments)((name, ctypes.CDLL(library)))

    def _keep_thunk(thunk):
        # ctypes.cast() would make a cycle, for the garbage collector
        address = ctypes.c_void_p.from_address(ctypes.addressof(thunk)).value
        _thunks[address] = thunk
        return address

    def _pointer(item):
        """Of a GObject or a GType: its hash is what it wraps."""
        return hash(item) & 0xffffffff

    _turn_type = ctypes.CFUNCTYPE(ctypes.c_int64)  # without the user data: there is nothing between C and the function
    _set_turn = _function('libevp-1.so.0', 'evp_turn_source_set_callback', None, *[ctypes.c_void_p] * 4)
    _ref_class = _function('libgobject-2.0.so.0', 'g_type_class_ref', ctypes.c_void_p, ctypes.c_void_p)
    _peek_interface = _function('libgobject-2.0.so.0', 'g_type_interface_peek', *[ctypes.c_void_p] * 3)
    _clock_type = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
    _clock_offset = next(field.get_offset() for field in Evp.AbstractEventLoopInterface.__info__.get_fields()
                         if field.get_name() == 'get_time_us')

    def _find_wrap():
        """The function of PyGObject's own C interface that makes a Python object of a GObject: its fourth."""
        get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
            ('PyCapsule_GetPointer', ctypes.pythonapi))
        functions = ctypes.cast(get(_gi._PyGObject_API, b'gobject._PyGObject_API'), ctypes.POINTER(ctypes.c_void_p))
        return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(functions[3])

    _wrap = _find_wrap()

    def _set_clock(cls, function):
        """Puts a method into the table of the class, which is its own, in place of what PyGObject put there."""
        def clock(pointer):
            try:
                return function(_wrap(pointer))
            except BaseException:  # pylint: disable=broad-except
                sys.excepthook(*sys.exc_info())  # as PyGObject does
                return 0

        table = _peek_interface(_ref_class(_pointer(cls.__gtype__)), _pointer(Evp.AbstractEventLoop.__gtype__))
        ctypes.c_void_p.from_address(table + _clock_offset).value = _keep_thunk(_clock_type(clock))

    @_public
    @override
    class TurnSource(Evp.TurnSource):
        def set_callback(self, callback, *args):
            if callback is None:
                _set_turn(_pointer(self), None, None, None)
                return
            address = _keep_thunk(_turn_type(functools.partial(callback, *args) if args else callback))
            _set_turn(_pointer(self), address, address, ctypes.cast(_drop_thunk, ctypes.c_void_p))


# Classes

class _Meta(type(Evp.AbstractEventLoop)):
    """Lists interfaces again for classes written in Python.

    A GType that does not add an interface itself shares the table of its parent, and PyGObject
    writes an override straight into that table: the parent class would change.
    """

    def __new__(mcs, name, bases, namespace):
        if '__module__' not in namespace:  # made by calling type(): it belongs to the caller, not here
            namespace = dict(namespace, __module__=sys._getframe(1).f_globals.get('__name__'))
        if namespace['__module__'] != __name__:
            bases += tuple(interface for interface in _interfaces if interface not in bases
                           and any(issubclass(base, interface) for base in bases))
        return super().__new__(mcs, name, bases, namespace)

    def __init__(cls, name, bases, namespace):
        super().__init__(name, bases, namespace)
        if _IS_NARROW and namespace.get('__module__') != __name__ and 'do_get_time_us' in namespace:
            _set_clock(cls, namespace['do_get_time_us'])


def _chain_up(cls, raw, info):
    call = info.__get__(None, raw)  # the implementation of exactly this class

    def chain(self, *args):
        return call(self, *args)

    # set after the class was made, or it would become an implementation
    setattr(cls, 'do_' + info.get_name(), chain)


def _interface(cls):
    """Registers the override of an interface."""
    _interfaces.append(override(cls))
    return _public(cls)


def _class(cls):
    """Registers the override of a derivable class, parents first."""
    raw = cls.__bases__[0]
    _classes[raw] = override(cls)
    for interface in _interfaces:
        if issubclass(raw, interface.__bases__[0]):
            for info in interface.__info__.get_vfuncs():
                _chain_up(cls, raw, info)
    for parent in raw.__mro__:
        if parent.__module__ == 'gi.repository.Evp' and hasattr(parent.__info__, 'get_class_struct'):
            for info in parent.__info__.get_vfuncs():
                _chain_up(cls, raw, info)
    return _public(cls)


def _plain_classes(*names):
    """Makes overrides that add nothing but chaining up."""
    for name in names:
        raw = getattr(Evp, name, None)
        if raw is None:
            continue
        parent = next((_classes[base] for base in raw.__mro__[1:] if base in _classes), None)
        bases = (raw, parent) if parent is not None else (raw,) + tuple(
            interface for interface in _interfaces if issubclass(raw, interface.__bases__[0]))
        _class(_Meta(name, bases, {'__module__': __name__}))


# Exceptions

def _guard(callback, args):
    """A callback for C: with its further arguments and the context variables of now, and nothing comes out of it."""
    if not callable(callback):
        raise TypeError(f'a callable is needed, not {type(callback).__name__}')
    return functools.partial(contextvars.copy_context().run, _call, callback, args, _name_of(callback) if _naming else None)


def _guard_again(callback, args):
    """The same for what may be called again before it has returned: a context can be entered once at a time."""
    if not callable(callback):
        raise TypeError(f'a callable is needed, not {type(callback).__name__}')
    name = _name_of(callback) if _naming else None
    context = contextvars.copy_context()
    entered = False

    def run(*given):
        nonlocal entered
        outer, entered = entered, True
        try:
            (context.copy() if outer else context).run(_call, callback, args, name, *given)
        finally:
            entered = outer
    return run


def _call(callback, args, name, *given):
    if name is not None:
        _name_running(name)
    try:
        callback(*given, *args)
    except BaseException as exception:  # pylint: disable=broad-except
        _failed(f'exception in callback {callback!r}', exception)


_naming = bool(os.environ.get('EVP_DEBUG'))  # or set_debug() was called: then messages about slow callbacks name them


def _name_of(callback):
    """Which function a callback is, and which line, not of this file, is about to schedule it."""
    caller = sys._getframe(2)
    while caller.f_back is not None and caller.f_code.co_filename == __file__:
        caller = caller.f_back
    return f'{callback!r}, scheduled at {caller.f_code.co_filename}:{caller.f_lineno},'


def _named(handle, callback):
    """Lets messages say which function a callback is, before it runs, too."""
    if handle is not None:
        handle.set_name(_name_of(callback))
    return handle


def _name_running(name, loop=None):
    """What messages call the callback that runs: if its handle is C's own, or only now it is known what it does."""
    if loop is None:
        try:
            loop = Evp.get_running_loop()
        except GLib.Error:
            return
    if isinstance(loop, Evp.BaseEventLoop):
        loop.name_running_callback(name)


def _failed(message, exception):
    run = getattr(_thread, 'run', None)
    if isinstance(exception, (KeyboardInterrupt, SystemExit)):
        if run is None:
            raise exception  # somebody else's main loop: theirs to decide
        run.leave_with(exception)
        return
    try:
        loop = Evp.get_running_loop()
    except GLib.Error:
        sys.excepthook(type(exception), exception, exception.__traceback__)
        return
    loop.call_exception_handler(ExceptionContext.from_exception(message, exception))


def _gerror(exception):
    """The GLib.Error that says the same as an exception, for those who are not in Python."""
    if isinstance(exception, GLib.Error):
        return exception
    return _error(Evp.Error.FAILED, ''.join(traceback.format_exception_only(type(exception), exception)).strip())


@_public
@override
class ExceptionContext(Evp.ExceptionContext):
    """What an exception handler is told. ``exception`` is the exception itself."""

    @classmethod
    def from_exception(cls, message, exception):
        """Describes an exception that happened in Python."""
        context = Evp.ExceptionContext.new(message)
        context.set_error(_gerror(exception))
        if not isinstance(exception, GLib.Error):
            context.set_string('traceback', ''.join(traceback.format_exception(
                type(exception), exception, exception.__traceback__)).rstrip())
        context._exception = exception
        return context

    @property
    def exception(self):
        """What was raised: the exception, or a GLib.Error if it did not happen in Python, or None."""
        exception = self.__dict__.get('_exception')
        return exception if exception is not None else self.get_error()

    @property
    def message(self):
        """What happened."""
        return self.get_message()


# Asynchronous methods

# asyncio's defaults; what may be None is None
_DEFAULTS = {
    'create_server_async': {'host': None, 'port': 0, 'backlog': 100},
    'create_unix_server_async': {'backlog': 100},
    'getaddrinfo_async': {'service': None, 'family': Gio.SocketFamily.INVALID},
    'start_tls_async': {'server_side': False},
    'start_tls_with_options_async': {'server_side': False},
    'sendfile_async': {'offset': 0, 'count': -1, 'fallback': True},
    'sock_sendfile_async': {'offset': 0, 'count': -1, 'fallback': True},
}


def _bytes(data):
    """GLib.Bytes, of whatever holds bytes."""
    return GLib.Bytes.new(bytes(data)) if isinstance(data, (bytes, bytearray, memoryview)) else data


def _as_is(value):
    return value


def _strings(value):
    """A list of strings: one string is a sequence of them, too, and never meant so."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f'a list of strings is needed, not {value!r}; subprocess_shell_async() takes a command line')
    return value


def _unix_path(path):
    """What a unix socket is called: asyncio's abstract names begin with a zero byte, C's with “@”."""
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    return '@' + path[1:] if isinstance(path, str) and path.startswith('\0') else path


_CONVERTERS = {'bytes': _bytes, 'data': _bytes, 'input': _bytes, 'fd': _fileno, 'argv': _strings, 'path': _unix_path}


class _Start:
    """How an ``…_async()`` method is called: its parameters before the cancellable, and what each may be."""

    def __init__(self, name, info):
        self.name = name
        self.parameters = []
        self.defaults = {'cancellable': None, 'callback': None}
        self.converters = []
        for argument in info.get_arguments():
            parameter = argument.get_name()
            if parameter == 'cancellable':
                break
            if parameter == 'size':  # of the buffer before it
                continue
            self.parameters.append(parameter)
            self.converters.append(_CONVERTERS.get(parameter, _as_is))
            if argument.may_be_null():
                self.defaults[parameter] = None
        self.defaults.update(_DEFAULTS.get(name, {}))
        self.count = len(self.parameters)

    def bind(self, args, keywords):
        """Returns what comes before the cancellable, the cancellable, the callback, and its further arguments."""
        if keywords or len(args) < self.count:
            args = list(args)
            for parameter in [*self.parameters, 'cancellable', 'callback'][len(args):]:
                if parameter in keywords:
                    args.append(keywords.pop(parameter))
                elif parameter in self.defaults:
                    args.append(self.defaults[parameter])
                else:
                    raise TypeError(f'{self.name}() needs the argument {parameter}')
            if keywords:
                raise TypeError(f'{self.name}() cannot take the argument {", ".join(keywords)}')
        given = [convert(value) for convert, value in zip(self.converters, args)]
        rest = args[self.count:]
        return given, rest[0] if rest else None, rest[1] if len(rest) > 1 else None, rest[2:]


def _awaitables(cls):
    """Lets the ``…_async()`` methods of a class be awaited: without a callback they return a future."""
    raw = cls.__bases__[0]
    infos = raw.__info__.get_methods()
    names = {info.get_name() for info in infos}
    for info in infos:
        name = info.get_name()
        finish = name[:-len('_async')] + '_finish'
        if name.endswith('_async') and finish in names:
            setattr(cls, name, _awaitable(_Start(name, info), getattr(raw, name), finish))


def _loop_of(source):
    if isinstance(source, Evp.AbstractEventLoop):
        return source
    if hasattr(source, 'get_loop'):
        return source.get_loop()
    asyncio = _asyncio_loop()
    if asyncio is not None and 'evp_asyncio' in sys.modules:
        return sys.modules['evp_asyncio'].as_evp(asyncio)  # stock asyncio's does not say so to C
    return Evp.get_event_loop()


def _awaitable(start, call, finish):
    def method(self, *args, **keywords):
        """Calls back ``callback(source, result, *args)``; without a callback, returns a future."""
        given, cancellable, callback, data = start.bind(args, keywords)
        if callback is not None:
            return call(self, *given, cancellable, _guard(callback, data))
        return _future_of(_loop_of(self), lambda *ends: call(self, *given, *ends),
                          lambda source, result: getattr(source, finish)(result), cancellable)
    method.__name__ = start.name
    return method


def _future_of(loop, begin, finish, cancellable):
    """The future of ``begin (cancellable, callback)``; cancelling it cancels what was begun."""
    if cancellable is None:
        cancellable = Gio.Cancellable()
    future = loop.create_future()

    def done(source, result):
        try:
            value = finish(source, result)
        except Exception as error:  # pylint: disable=broad-except
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(value)

    def ended(future):
        if future.cancelled():
            cancellable.cancel()

    future.add_done_callback(ended)
    begin(cancellable, done)
    return future


@contextlib.contextmanager
def _thread_default(context):
    """Lets GIO complete what is begun in a loop's context, also when the loop does not run yet."""
    if context is None:
        yield
        return
    context.push_thread_default()
    try:
        yield
    finally:
        context.pop_thread_default()


@_public
def call_gio(method, *args, finish=None):
    """Starts an asynchronous method of GIO, and returns the future of what it finishes with.

    ``data = await Evp.call_gio(stream.get_input_stream().read_bytes_async, 4096, GLib.PRIORITY_DEFAULT)``: the
    arguments are those before the cancellable. The running loop is the one that completes it. ``finish`` is the name of
    the method that finishes it where there are several: ``'read_line_finish_utf8'``.
    """
    name = method.__name__
    finish_name = finish or (name[:-len('_async')] if name.endswith('_async') else name) + '_finish'
    if 'cancellable' not in [argument.get_name() for argument in method.get_arguments()]:
        raise TypeError(f'{name}() cannot be called so: it has no cancellable')

    def end(source, result):
        if source is None:  # a function or a constructor
            source = get_introspection_module(method.get_namespace())
            container = method.get_container()
            if container is not None:
                source = getattr(source, container.get_name())
        return getattr(source, finish_name)(result)

    loop = Evp.get_event_loop()

    def begin(*ends):
        with _thread_default(loop.dup_main_context()):
            method(*args, *ends)

    return _future_of(loop, begin, end, None)


class _Received:
    """The result of a method that fills a buffer of the caller's, which is not filled yet."""

    def __init__(self, result, view):
        self.result = result
        self.view = view


def _fills_buffer(cls, name, plain):
    """A method that receives into a buffer, made of one that returns what it received.

    C would write into memory that Python does not keep for it.
    """
    raw = cls.__bases__[0]
    into = _Start(name + '_async', getattr(raw, name + '_async'))
    call = getattr(raw, plain + '_async')
    get = getattr(raw, plain + '_finish')

    def start(self, *args):
        *given, cancellable, callback = args
        place = into.parameters.index('buffer')
        view = memoryview(given[place]).cast('B')
        if view.readonly:
            raise TypeError(f'{into.name}() needs a buffer that can be written to')
        given[place] = view.nbytes
        call(self, *given, cancellable, lambda source, result: callback(source, _Received(result, view)))

    def finish(self, received):
        value = get(self, received.result)
        data, *others = value if isinstance(value, tuple) else (value,)
        size = data.get_size()
        if size > 0:
            received.view[:size] = data.get_data()
        return (size, *others) if others else size

    setattr(cls, name + '_async', _awaitable(into, start, name + '_finish'))
    setattr(cls, name + '_finish', finish)


# Running

class _Run:
    """One call that runs a loop."""

    def __init__(self, loop):
        self.loop = loop         # None as long as it is not known
        self.future = None       # what Ctrl-C cancels; else it stops the loop
        self.exception = None    # what has to come out of the call
        self.interrupted = False

    def leave_with(self, exception):
        if self.exception is None:
            self.exception = exception
        if self.loop is not None:
            self.loop.stop()

    def around(self):
        return self.loop

    def interrupt(self):
        self.interrupted = True
        if self.future is not None:
            self.future.cancel()
        elif self.loop is not None:
            self.loop.stop()

    def explains(self, error):
        """Whether an error is but the consequence of what has to come out."""
        return ((self.interrupted or self.exception is not None)
                and any(error.matches(Evp.Error.quark(), code)
                        for code in (Evp.Error.LOOP_STOPPED, Evp.Error.CANCELLED, Evp.Error.FAILED)))


def _woken(reader, previous, leave):
    """What a signal wakes. Its handler runs when Python is entered: here, inside of try, and not in a function."""
    while True:
        try:
            while True:
                yield -1
                with contextlib.suppress(OSError):
                    numbers = reader.recv(256)
                    if previous >= 0:
                        os.write(previous, numbers)
        except GeneratorExit:  # of close()
            return
        except BaseException as exception:  # pylint: disable=broad-except
            leave(exception)


@contextlib.contextmanager
def _wakes_up_on_signals(context, leave):
    """Lets Python run its signal handlers while C waits on a main context; what they raise comes out."""
    if context is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

        woken = _woken(reader, previous, leave)
        next(woken)
        source = Evp.TurnSource.new(context, reader.fileno())
        source.set_callback(woken.__next__)
        source.attach()
        try:
            yield
        finally:
            source.set_callback(None)
            try:
                current = signal.set_wakeup_fd(previous)
            except (ValueError, OSError):  # it has been closed meanwhile
                current = signal.set_wakeup_fd(-1)
            if current != writer.fileno():  # somebody's who set it meanwhile
                with contextlib.suppress(ValueError, OSError):
                    signal.set_wakeup_fd(current)


def _is_failure_of(future, error):
    """Whether an error of C's is but what a future failed with."""
    if not future.done() or future.cancelled():
        return False
    failure = future.exception()
    return failure is not None and _gerror(failure).message == error.message


@contextlib.contextmanager
def _running(loop, context):
    """Round whatever runs a loop: lets Ctrl-C, KeyboardInterrupt and SystemExit come out of it."""
    outer = getattr(_thread, 'run', None)
    run = _thread.run = _Run(loop)
    driven = outer.driven_by(loop) if hasattr(outer, 'driven_by') else contextlib.nullcontext()  # asyncio's, by this one
    try:
        # PyGObject's, so that main loops nested in a callback end, too
        with driven, _ossighelper.register_sigint_fallback(run.interrupt), _wakes_up_on_signals(context, run.leave_with):
            try:
                yield run
            except GLib.Error as error:
                if not run.explains(error):
                    raise
    finally:
        _thread.run = outer
    if run.exception is not None:
        try:
            raise run.exception
        finally:
            run.exception = None


# what is called most, looked up once
_call_soon = Evp.AbstractEventLoop.call_soon
_call_soon_threadsafe = Evp.AbstractEventLoop.call_soon_threadsafe_handle
_call_later = Evp.AbstractEventLoop.call_later
_call_at = Evp.AbstractEventLoop.call_at


@_interface
class AbstractEventLoop(Evp.AbstractEventLoop, metaclass=_Meta):
    def run_forever(self):
        """Runs until stop(). KeyboardInterrupt and SystemExit of a callback come out of it."""
        with _running(self, self.dup_main_context()):
            Evp.AbstractEventLoop.run_forever(self)

    def run_until_complete(self, future):
        """Runs until a future, or a coroutine, is done, and returns its result."""
        is_new = inspect.iscoroutine(future)
        if is_new:
            future = self.create_task(future)
        with _running(self, self.dup_main_context()):
            try:
                Evp.AbstractEventLoop.run_until_complete(self, future)
            except GLib.Error as error:
                if not _is_failure_of(future, error):
                    if is_new and error.matches(Evp.Error.quark(), Evp.Error.LOOP_RUNNING):
                        future.cancel()  # before it begins
                    raise
        return future.get_result()  # raises what it was in Python

    def set_debug(self, enabled):
        """Switches debug mode. From then on messages about slow callbacks name them."""
        global _naming
        _naming = _naming or bool(enabled)
        Evp.AbstractEventLoop.set_debug(self, enabled)

    def call_soon(self, callback, *args):
        handle = _call_soon(self, _guard(callback, args))
        return _named(handle, callback) if _naming else handle

    def call_soon_threadsafe(self, callback, *args):
        """Like call_soon(), from any thread; any thread may cancel the handle."""
        return _call_soon_threadsafe(self, _guard(callback, args))

    call_soon_threadsafe_handle = call_soon_threadsafe

    def call_later(self, delay, callback, *args):
        handle = _call_later(self, delay, _guard(callback, args))
        return _named(handle, callback) if _naming else handle

    def call_at(self, when, callback, *args):
        handle = _call_at(self, when, _guard(callback, args))
        return _named(handle, callback) if _naming else handle

    def add_reader(self, fd, callback, *args):
        """Runs ``callback(fd, *args)`` while fd, a number or a file, is readable."""
        return Evp.AbstractEventLoop.add_reader(self, _fileno(fd), _guard_again(callback, args))

    def add_writer(self, fd, callback, *args):
        """Runs ``callback(fd, *args)`` while fd, a number or a file, is writable."""
        return Evp.AbstractEventLoop.add_writer(self, _fileno(fd), _guard_again(callback, args))

    def remove_reader(self, fd):
        return Evp.AbstractEventLoop.remove_reader(self, _fileno(fd))

    def remove_writer(self, fd):
        return Evp.AbstractEventLoop.remove_writer(self, _fileno(fd))

    def add_signal_handler(self, signum, callback, *args):
        """Runs ``callback(signum, *args)`` after a signal."""
        return Evp.AbstractEventLoop.add_signal_handler(self, signum, _guard_again(callback, args))

    def run_in_executor(self, func, *args):
        """Runs ``func(*args)`` on a worker thread; what it returns or raises is the future's."""
        return Evp.AbstractEventLoop.run_in_executor(self, _work(func, args))

    def create_task(self, coroutine):
        """Runs a coroutine that awaits futures of this loop; returns the future of its end."""
        return _Task(self, coroutine).future

    def set_exception_handler(self, handler, *args):
        """Has ``handler(loop, context, *args)`` called for what nobody caught; None is the default."""
        if handler is None:
            Evp.AbstractEventLoop.set_exception_handler(self, None)
            return
        if not callable(handler):
            raise TypeError(f'a callable or None is needed, not {type(handler).__name__}')

        def run(loop, context):
            report = getattr(_thread, 'report', None)
            if report is not None and report == context:
                context._exception = report.exception
            try:
                handler(loop, context, *args)
            except (KeyboardInterrupt, SystemExit) as exception:
                _failed('', exception)
            except BaseException as exception:  # pylint: disable=broad-except
                failure = ExceptionContext.from_exception('exception in the exception handler', exception)
                failure.set_context(context)
                loop.default_exception_handler(failure)
        Evp.AbstractEventLoop.set_exception_handler(self, run)

    def call_exception_handler(self, context):
        outer = getattr(_thread, 'report', None)
        _thread.report = context
        try:
            Evp.AbstractEventLoop.call_exception_handler(self, context)
        finally:
            _thread.report = outer


_awaitables(AbstractEventLoop)
_fills_buffer(AbstractEventLoop, 'sock_recv_into', 'sock_recv')
_fills_buffer(AbstractEventLoop, 'sock_recvfrom_into', 'sock_recvfrom')


@_public
def run(main, *args):
    """Runs a program: ``main(loop, *args)`` returns a future, or is a coroutine, whose result is returned.

    Ctrl-C cancels it, and is a KeyboardInterrupt afterwards.
    """
    if not callable(main):
        if inspect.iscoroutine(main):
            main.close()
        raise TypeError(f'Evp.run() calls the main function itself, with the loop: write Evp.run(main), not {main!r}')
    futures = []
    with contextlib.ExitStack() as stack:
        current = stack.enter_context(_running(None, None))

        def start(loop):
            current.loop = loop
            stack.enter_context(_wakes_up_on_signals(loop.dup_main_context(), current.leave_with))
            future = None
            try:
                future = main(loop, *args)
                if inspect.iscoroutine(future):
                    future = loop.create_task(future)
                if not isinstance(future, Evp.Future):
                    raise TypeError(f'the main function must return an Evp.Future or a coroutine, not {future!r}')
            except (KeyboardInterrupt, SystemExit) as exception:
                current.leave_with(exception)
                future = loop.create_future()
                future.cancel()
            except BaseException as exception:  # pylint: disable=broad-except
                future = loop.create_future()
                future.set_exception(exception)
            current.future = future
            futures.append(future)
            return future

        try:
            Evp.run(start)
        except GLib.Error:
            if (current.exception is not None or not futures or not futures[0].done() or futures[0].cancelled()
                    or futures[0].exception() is None):
                raise
    return futures[0].get_result()  # raises what it was in Python


_plain_classes('BaseEventLoop', 'SelectorEventLoop', 'ProactorEventLoop')
_awaitables(_classes[Evp.ProactorEventLoop])
_fills_buffer(_classes[Evp.ProactorEventLoop], 'read_into', 'read')


# Futures

def _is_utf8(value):
    try:
        value.encode()
    except UnicodeEncodeError:  # of os.fsdecode()
        return False
    return True


def _value(value):
    """What a GValue can hold of Python's values: everything, the rest as the object it is."""
    kind = type(value)
    if kind is int:
        if -2**31 <= value < 2**31:
            return value
        if -2**63 <= value < 2**63:
            return GObject.Value(GObject.TYPE_INT64, value)
    elif kind is str:
        if (value.isascii() or _is_utf8(value)) and '\0' not in value:
            return value
    elif (value is None or kind in (bool, float)
          or isinstance(value, (GObject.Value, GObject.Object, GObject.GBoxed, GLib.Variant, GObject.GEnum,
                                GObject.GFlags))):
        return value
    return GObject.Value(GObject.TYPE_PYOBJECT, value)


def _owned(value):
    """What came out of a GValue: a boxed value is still the GValue's, and goes with it."""
    return GObject.GBoxed.copy(value) if isinstance(value, GObject.GBoxed) else value


def _work(func, args):
    def run(future):
        try:
            result = func(*args)
        except BaseException as exception:  # pylint: disable=broad-except
            failure = exception
        else:
            failure = None
        with contextlib.suppress(GLib.Error):  # cancelled meanwhile
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(result)
    if not callable(func):
        raise TypeError(f'a callable is needed, not {type(func).__name__}')
    return run


@_public
@override
class Future(Evp.Future):
    """A result that comes later: any value, any exception; can be awaited."""

    def set_result(self, value=None):
        """Completes the future; fails with INVALID_STATE if it is done already."""
        return Evp.Future.set_result(self, _value(value))

    def set_error(self, error):
        """Completes the future with an exception; fails with INVALID_STATE if it is done already."""
        if isinstance(error, type):
            error = error()
        if not isinstance(error, BaseException):
            raise TypeError(f'an exception is needed, not {type(error).__name__}')
        if self.done():
            Evp.Future.set_result(self, None)  # raises what C says of it
        given = _gerror(error)
        if given is not error:
            self._exception = (error, given.message)
        if not Evp.Future.set_error(self, given):
            Evp.Future.set_result(self, None)
        return True

    set_exception = set_error

    def get_result(self):
        """Returns the result, or raises what the future failed with."""
        return self._result_of(Evp.Future.get_result)

    def _result_of(self, method, *args):
        try:
            return _owned(method(self, *args))
        except GLib.Error as error:
            exception = self._what_it_was(error)
            if exception is error:
                raise
        raise exception  # not in there: it has a context, and perhaps a cause, of its own

    def _what_it_was(self, error):
        """What set_exception() was given, if C's error is what became of it."""
        exception, message = self.__dict__.get('_exception', (None, None))
        return exception if exception is not None and error.message == message else error

    result = get_result

    def exception(self):
        """Returns what the future failed with, or None; raises if it is cancelled or not done."""
        if not self.done() or self.cancelled():
            self.get_result()
        try:
            Evp.Future.get_result(self)
        except GLib.Error as error:
            return self._what_it_was(error)
        return None

    def add_done_callback(self, callback, *args):
        """Runs ``callback(future, *args)`` through the loop when the future is done."""
        return Evp.Future.add_done_callback(self, _guard(callback, args))

    def await_finish(self, result):
        return self._result_of(Evp.Future.await_finish, result)

    def __await__(self):
        if not self.done():
            loop = _asyncio_loop()
            if loop is not None:
                return (yield from _asyncio_future(loop, self))
            yield self
        elif self.cancelled() and _asyncio_loop() is not None:
            raise sys.modules['asyncio'].CancelledError  # as if it were cancelled only now
        return self.get_result()

    __iter__ = __await__


def _asyncio_loop():
    """The running loop of asyncio, if it is a task of asyncio's that awaits and not one of create_task() here."""
    asyncio = sys.modules.get('asyncio')
    if asyncio is None or getattr(_thread, 'stepping', False):
        return None
    return asyncio._get_running_loop()


def _asyncio_future(loop, future):
    """A future of asyncio's for one of Evp's; cancelling either cancels both."""
    mirror = loop.create_future()
    thread = threading.get_ident()

    def finish():
        if mirror.done() or loop.is_closed():
            return
        if future.cancelled():
            mirror.cancel()
            return
        try:
            mirror.set_result(future.get_result())
        except BaseException as exception:  # pylint: disable=broad-except
            mirror.set_exception(exception)

    def ended(_future):
        if threading.get_ident() == thread:
            finish()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(finish)

    def mirror_ended(mirror):
        if mirror.cancelled():
            future.cancel()

    future.add_done_callback(ended)
    mirror.add_done_callback(mirror_ended)
    return mirror


@_public
@override
class Executor(Evp.Executor):
    def submit(self, loop, func, *args):
        """Runs ``func(*args)`` on a worker thread; what it returns or raises is the future's."""
        return Evp.Executor.submit(self, loop, _work(func, args))


class _Task:
    """Drives a coroutine: one step when it starts, and one each time a future that it awaits is done."""

    def __init__(self, loop, coroutine):
        if not inspect.iscoroutine(coroutine):
            raise TypeError(f'a coroutine is needed, not {type(coroutine).__name__}')
        self.loop = loop
        self.coroutine = coroutine
        self.context = contextvars.copy_context()
        self.awaited = None
        self.told = False  # that it is cancelled; once, so that it can await while it tidies up
        self.future = loop.create_future()
        self.future.add_done_callback(self._ended)
        loop.call_soon(self._step)

    def _ended(self, future):
        if future.cancelled():
            if self.awaited is not None:
                self.told = True
                self.awaited.cancel()
            elif inspect.getcoroutinestate(self.coroutine) == inspect.CORO_CREATED:
                self.coroutine.close()

    def _step(self, _future=None):
        self.awaited = None
        outer = getattr(_thread, 'stepping', False)
        _thread.stepping = True
        start = self._line() if _naming else None
        try:
            self._run()
        finally:
            _thread.stepping = outer
            if start is not None:
                end = self._line()
                _name_running(f'{self.coroutine.__qualname__}() from {start} to {end or "its end"}', self.loop)

    def _line(self):
        """Where the coroutine that is suspended goes on: the innermost one, if it awaits others."""
        coroutine, place = self.coroutine, None
        while inspect.iscoroutine(coroutine) and coroutine.cr_frame is not None:
            place = f'{coroutine.cr_code.co_filename}:{coroutine.cr_frame.f_lineno}'
            coroutine = coroutine.cr_await
        return place

    def _run(self):
        try:
            state = inspect.getcoroutinestate(self.coroutine)
            if state == inspect.CORO_CLOSED:
                return
            if state == inspect.CORO_CREATED and self.future.cancelled():
                self.coroutine.close()
                return
            awaited = self.context.run(self.coroutine.send, None)
        except StopIteration as stop:
            with contextlib.suppress(GLib.Error):
                self.future.set_result(stop.value)
        except (KeyboardInterrupt, SystemExit) as exception:
            with contextlib.suppress(GLib.Error):
                self.future.set_exception(exception)
            raise
        except BaseException as exception:  # pylint: disable=broad-except
            with contextlib.suppress(GLib.Error):
                self.future.set_exception(exception)
        else:
            if awaited is None:
                self.loop.call_soon(self._step)
            elif isinstance(awaited, Evp.Future):
                self.awaited = awaited
                awaited.add_done_callback(self._step)
                if self.future.cancelled() and not self.told:
                    self.told = True
                    awaited.cancel()
            else:
                self.context.run(self.coroutine.close)
                with contextlib.suppress(GLib.Error):
                    self.future.set_exception(TypeError(f'{awaited!r} is no Evp.Future: it cannot be awaited here'))


# Selectors

@_class
class Selector(Evp.Selector, metaclass=_Meta):
    def register(self, fd, events, data=None):
        return Evp.Selector.register(self, _fileno(fd), _events(events), _value(data))

    def modify(self, fd, events, data=None):
        return Evp.Selector.modify(self, _fileno(fd), _events(events), _value(data))

    def unregister(self, fd):
        return Evp.Selector.unregister(self, _fileno(fd))

    def get_key(self, fd):
        return Evp.Selector.get_key(self, _fileno(fd))

    def select(self, timeout=-1):
        return Evp.Selector.select(self, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()


_plain_classes('SelectSelector', 'PollSelector', 'EpollSelector', 'KqueueSelector')


@_public
@override
class SelectorKey(Evp.SelectorKey):
    @classmethod
    def new(cls, fd, events, data=None):
        return Evp.SelectorKey.new(_fileno(fd), _events(events), _value(data))

    def get_data(self):
        return _owned(Evp.SelectorKey.get_data(self))

    def set_data(self, data):
        Evp.SelectorKey.set_data(self, _value(data))


# Proactors

_plain_classes('Proactor', 'GioProactor', 'UringProactor')


@_public
@override
class Operation(Evp.Operation):
    def store_data(self, data):
        """Stores what was received; returns how much there was room for."""
        return Evp.Operation.store_data(self, _bytes(data))


# Connections

@_public
@override
class DatagramEndpoint(Evp.DatagramEndpoint):
    def send(self, data, address=None):
        """Sends a datagram, of bytes, to an address or to the one that the endpoint was made for."""
        return Evp.DatagramEndpoint.send(self, _bytes(data), address)


_awaitables(DatagramEndpoint)


@_public
@override
class Server(Evp.Server):
    """Listening sockets. ``async with server:`` closes it, and waits for its connections to end."""

    @property
    def sockets(self):
        return self.get_sockets()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_exception):
        self.close()
        await self.wait_closed_async()


_awaitables(Server)


# Child processes

@_public
@override
class Subprocess(Evp.Subprocess):
    """A child process. Its return code is None while it runs."""

    def get_returncode(self):
        returncode = Evp.Subprocess.get_returncode(self)
        return None if returncode == Evp.RETURNCODE_NONE else returncode

    @property
    def pid(self):
        return self.get_pid()

    @property
    def returncode(self):
        return self.get_returncode()

    @property
    def stdin(self):
        return self.get_stdin()

    @property
    def stdout(self):
        return self.get_stdout()

    @property
    def stderr(self):
        return self.get_stderr()


_awaitables(Subprocess)


# Child watchers

@_interface
class AbstractChildWatcher(Evp.AbstractChildWatcher, metaclass=_Meta):
    def add_child_handler(self, pid, callback, *args):
        """Runs ``callback(pid, returncode, *args)`` when a child has ended."""
        return Evp.AbstractChildWatcher.add_child_handler(self, pid, _guard(callback, args))

    def __enter__(self):
        self.enter()
        return self

    def __exit__(self, *_exception):
        self.exit()


@_public
@override
class ChildHandler(Evp.ChildHandler):
    @classmethod
    def new(cls, pid, loop, callback, *args):
        """A handler that runs ``callback(pid, returncode, *args)``."""
        return Evp.ChildHandler.new(pid, loop, _guard(callback, args))


_plain_classes('BaseChildWatcher', 'PidfdChildWatcher', 'ThreadedChildWatcher', 'SafeChildWatcher',
               'FastChildWatcher', 'MultiLoopChildWatcher', 'GLibChildWatcher')


# Policies

@_interface
class AbstractEventLoopPolicy(Evp.AbstractEventLoopPolicy, metaclass=_Meta):
    pass


_plain_classes('BaseEventLoopPolicy', 'DefaultEventLoopPolicy', 'SelectorEventLoopPolicy',
               'ProactorEventLoopPolicy', 'WindowsSelectorEventLoopPolicy', 'WindowsProactorEventLoopPolicy',
               'MainContextEventLoopPolicy')
