// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What Evp needs in JavaScript beside its introspection data.
//
// - Callbacks take further arguments, as in asyncio, and an exception in one, or in the promise that
//   it returns, goes to the exception handler of the loop.
// - Methods that end in _async return a promise when they get no callback.
// - Futures can be awaited, and take any value and any error.
// - Evp.run() runs a program in the default main context, the only one in which GJS runs promises.
// - There are no threads in GJS: what would run a function on one fails with NOT_SUPPORTED.
// - What a vfunc is given, a handle for example, may be kept.

/* exported _init */

const {Gio, GLib, GObject} = imports.gi;

const SIGINT = 2;
const JOBS_PRIORITY = -1000; // at which GJS runs them
const MAX_RESUMERS = 3; // that are named

function _init() {
    const Evp = this;
    const loopMethods = Evp.AbstractEventLoop.prototype;
    const selectorMethods = Evp.Selector.prototype;
    const futureMethods = Evp.Future.prototype;

    let report = null; // what an exception handler is being told about

    function makeError(code, message) {
        return new GLib.Error(Evp.Error, code, message);
    }

    // a message in the language of who reads it
    function _(message) {
        Evp.capabilities_explain(''); // says something, and so knows where the messages are
        return GLib.dgettext('evp-1', message);
    }

    // anything can be thrown, and not everything turns into a string
    function textOf(error) {
        try {
            return String(error);
        } catch {
            return Object.prototype.toString.call(error);
        }
    }

    function toGError(error) {
        return error instanceof GLib.Error ? error : makeError(Evp.Error.FAILED, textOf(error));
    }

    function describe(message, error) {
        const context = Evp.ExceptionContext.new(message);
        context.set_error(toGError(error));
        if (typeof error?.stack === 'string')
            context.set_string('traceback', error.stack.trimEnd());
        return context;
    }

    function getRunningLoop() {
        try {
            return Evp.get_running_loop();
        } catch {
            return null;
        }
    }

    function failed(message, error, loop = getRunningLoop()) {
        if (!loop) {
            // it takes objects only
            logError(Object(error) === error ? error : toGError(error), message);
            return;
        }
        const outer = report;
        report = {error};
        try {
            loop.call_exception_handler(describe(message, error));
        } finally {
            report = outer;
        }
    }

    // a callback for C: with its further arguments, and nothing comes out of it
    function guard(callback, args) {
        if (typeof callback !== 'function')
            throw new TypeError(`a function is needed, not ${callback}`);
        const message = `exception in callback ${callback.name || '(anonymous)'}`;
        return (...given) => {
            try {
                const result = callback(...given, ...args);
                if (result instanceof Promise) {
                    const loop = getRunningLoop(); // none runs when it is rejected
                    result.catch(error => failed(message, error, loop));
                }
            } catch (error) {
                failed(message, error);
            }
        };
    }

    // In debug mode, messages about slow callbacks say which function it was and which line scheduled it.
    let naming = Boolean(GLib.getenv('EVP_DEBUG'));
    const setDebug = loopMethods.set_debug;
    loopMethods.set_debug = function (enabled) {
        naming ||= enabled;
        setDebug.call(this, enabled);
    };
    const here = new Error().stack.split('\n')[0].replace(/^.*@/, '').replace(/:\d+:\d+$/, ':');

    function placeOfCaller() {
        const places = new Error().stack.trimEnd().split('\n').map(line => line.replace(/^.*@/, ''));
        const inner = [here, 'resource:///org/gnome/gjs/']; // which makes promises
        return places.find(item => !inner.some(start => item.startsWith(start))) ?? places.at(-1);
    }

    function nameOf(callback) {
        return `${callback.name || '(anonymous)'}, scheduled at ${placeOfCaller()},`;
    }

    // What follows an await does not run in a callback, but as a job of JavaScript's after it. GJS runs all jobs that there
    // are from one source; those are timed by a source before it and one behind it. (Jobs of our own could be
    // more exact, but GJS crashes if there are any when a program calls System.exit().)
    let resumers = []; // the callbacks since the last jobs

    function reportJobs(since) {
        const [{loop}] = resumers;
        const names = resumers.map(({what}) => what).join(' or ');
        const seconds = (GLib.get_monotonic_time() - since) / 1e6;
        resumers = [];
        // a trace of everything need not list where nothing was awaited
        if (!loop.get_debug() || !(seconds >= Math.max(loop.slow_callback_duration, 0.001)))
            return;
        GLib.log_structured('Evp', GLib.LogLevelFlags.LEVEL_WARNING, {
            MESSAGE: imports.format.vprintf(_('Executing %s took %.3f seconds'),
                [`code after an await, resumed by ${names}`, seconds]),
        });
    }

    function timeJobs(loop, what) {
        if (!(loop instanceof Evp.BaseEventLoop) || !loop.get_debug())
            return;
        if (resumers.length < MAX_RESUMERS)
            resumers.push({loop, what});
        if (resumers.length > 1)
            return;
        let since = 0;
        GLib.idle_add(JOBS_PRIORITY - 1, () => {
            since = GLib.get_monotonic_time();
            return GLib.SOURCE_REMOVE;
        });
        GLib.idle_add(JOBS_PRIORITY + 1, () => {
            reportJobs(since);
            return GLib.SOURCE_REMOVE;
        });
    }

    // GJS passes boxed values to callbacks and vfuncs without a reference: what is kept must have one of its own
    function own(value) {
        return typeof value?.ref === 'function' && !(value instanceof GObject.Object) ? value.ref() : value;
    }

    const initClass = GObject.Object._classInit;
    GObject.Object._classInit = function (type) {
        const {prototype} = type;
        if (type[GObject.interfaces]?.includes(Evp.AbstractEventLoop) || prototype instanceof Evp.Proactor) {
            for (const name of Object.getOwnPropertyNames(prototype).filter(item => item.startsWith('vfunc_'))) {
                const {value: method, ...others} = Object.getOwnPropertyDescriptor(prototype, name);
                if (typeof method !== 'function')
                    continue;
                Object.defineProperty(prototype, name, {...others, value(...args) {
                    return method.apply(this, args.map(own));
                }});
            }
        }
        return initClass.call(this, type);
    };

    // prototype[name] (…first n arguments, callback, …arguments of the callback)
    function bindCallback(prototype, name, n) {
        const method = prototype[name];
        prototype[name] = function (...args) {
            const callback = guard(args[n], args.slice(n + 1));
            if (!naming)
                return method.call(this, ...args.slice(0, n), callback);
            const what = nameOf(args[n]);
            const handle = method.call(this, ...args.slice(0, n), (...given) => {
                const loop = getRunningLoop(); // the handle may be C's own
                loop?.name_running_callback?.(what);
                timeJobs(loop, what);
                callback(...given);
            });
            handle?.set_name?.(what);
            return handle;
        };
    }

    // Loops

    bindCallback(loopMethods, 'call_soon', 0);
    bindCallback(loopMethods, 'call_soon_threadsafe_handle', 0);
    bindCallback(loopMethods, 'call_later', 1);
    bindCallback(loopMethods, 'call_at', 1);
    bindCallback(loopMethods, 'add_reader', 1);
    bindCallback(loopMethods, 'add_writer', 1);
    bindCallback(loopMethods, 'add_signal_handler', 1);

    // as in asyncio, it returns the handle
    loopMethods.call_soon_threadsafe = loopMethods.call_soon_threadsafe_handle;

    const setExceptionHandler = loopMethods.set_exception_handler;
    loopMethods.set_exception_handler = function (handler, ...args) {
        if (!handler) {
            setExceptionHandler.call(this, null);
            return;
        }
        if (typeof handler !== 'function')
            throw new TypeError(`a function or null is needed, not ${handler}`);
        setExceptionHandler.call(this, (loop, lent) => {
            const context = own(lent);
            // what was thrown, if it was thrown in JavaScript
            context.exception = report ? report.error : context.get_error();
            try {
                handler(loop, context, ...args);
            } catch (error) {
                const failure = describe('exception in the exception handler', error);
                failure.set_context(context);
                loop.default_exception_handler(failure);
            }
        });
    };

    function noThreads() {
        throw makeError(Evp.Error.NOT_SUPPORTED,
            _('GJS cannot run a function on another thread; use an asynchronous operation or a child process'));
    }
    loopMethods.run_in_executor = noThreads;
    Evp.Executor.prototype.submit = noThreads;

    // Asynchronous methods

    // GJS would pass a copy of a buffer and free it at once: the bytes are put there afterwards
    const buffers = new WeakMap();

    function bytesOf(buffer) {
        if (buffer instanceof ArrayBuffer)
            return new Uint8Array(buffer);
        if (ArrayBuffer.isView(buffer))
            return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
        throw new TypeError('a Uint8Array, or another view of an ArrayBuffer, is needed');
    }

    for (const [methods, name] of [[loopMethods, 'sock_recv'], [loopMethods, 'sock_recvfrom'],
        [Evp.ProactorEventLoop.prototype, 'read']]) {
        const start = methods[`${name}_async`];
        const finish = methods[`${name}_finish`];
        // where from, the buffer, others, the cancellable and the callback
        function startInto(source, buffer, ...args) {
            const callback = args.pop();
            const target = bytesOf(buffer);
            start.call(this, source, target.length, ...args, (_, result) => {
                buffers.set(result, target);
                callback(this, result);
            });
        }
        methods[`${name}_into_async`] = Object.defineProperty(startInto, 'length', {value: start.length});
        methods[`${name}_into_finish`] = function (result) {
            const received = finish.call(this, result);
            const [bytes, ...others] = Array.isArray(received) ? received : [received];
            const data = bytes.toArray();
            buffers.get(result).set(data);
            return others.length > 0 ? [data.length, ...others] : data.length;
        };
    }

    // in debug mode, what awaited it is timed
    function timed(method, name) {
        function start(...args) {
            const callback = args.at(-1);
            if (naming && typeof callback === 'function') {
                const what = `${name}(), called at ${placeOfCaller()},`;
                args.splice(-1, 1, (...given) => {
                    timeJobs(getRunningLoop(), what);
                    callback(...given);
                });
            }
            return method.apply(this, args);
        }
        // from their number, _promisify() sees whether there is a callback
        return Object.defineProperty(start, 'length', {value: method.length});
    }

    for (const type of [Evp.AbstractEventLoop, Evp.ProactorEventLoop, Evp.Subprocess, Evp.Server,
        Evp.DatagramEndpoint]) {
        for (const name of Object.getOwnPropertyNames(type.prototype)) {
            const stem = name.replace(/_async$/, '');
            if (name !== stem && typeof type.prototype[`${stem}_finish`] === 'function') {
                type.prototype[name] = timed(type.prototype[name], name);
                Gio._promisify(type.prototype, name, `${stem}_finish`);
            }
        }
    }

    // Futures

    // GJS lets go of a plain object in a GValue when it collects garbage: a GObject holds it
    const Box = GObject.registerClass({GTypeName: 'EvpJSValue'}, class Box extends GObject.Object {});

    function boxed(value) {
        const box = new Box();
        box.value = value;
        return box;
    }

    // C's strings end with a zero, and are made of whole characters
    function toValue(value) {
        if (value === undefined)
            return null;
        if (typeof value === 'string')
            return /[\0\ud800-\udfff]/u.test(value) ? boxed(value) : value;
        if (value === null || ['boolean', 'number'].includes(typeof value))
            return value;
        let type;
        try {
            type = value.constructor?.$gtype;
        } catch {
            // it is not one of C's
        }
        return jsTypes.has(type?.name) ? boxed(value) : value;
    }
    const jsTypes = new Set([undefined, ...[Object, Boolean, Number, String].map(({$gtype}) => $gtype.name)]);

    // some look like C's, and are not
    function passValue(value, pass) {
        const given = toValue(value);
        try {
            return pass(given);
        } catch (error) {
            if (error instanceof GLib.Error || given !== value || Object(value) !== value)
                throw error;
            return pass(boxed(value));
        }
    }

    function fromValue(value) {
        return value instanceof Box ? value.value : value;
    }

    const setResult = futureMethods.set_result;
    futureMethods.set_result = function (value) {
        return passValue(value, given => setResult.call(this, given));
    };

    const setError = futureMethods.set_error;
    futureMethods.set_error = function (error) {
        const given = toGError(error);
        if (!this.done() && given !== error)
            this._exception = {error, message: given.message};
        if (!setError.call(this, given))
            setResult.call(this, null); // throws what C says of it
        return true;
    };

    // what was given to set_error()
    function thrownBy(future, error) {
        const exception = future?._exception;
        return exception?.message === error.message ? exception.error : error;
    }

    const chain = futureMethods.chain;
    futureMethods.chain = function (target) {
        chain.call(this, target);
        this.add_done_callback(() => {
            target._exception ??= this._exception;
        });
    };

    // the methods that return the result, or throw what was given to set_error()
    for (const name of ['get_result', 'await_finish']) {
        const method = futureMethods[name];
        futureMethods[name] = function (...args) {
            try {
                return fromValue(method.apply(this, args));
            } catch (error) {
                throw thrownBy(this, error);
            }
        };
    }

    // Gio._promisify() takes a result [true, …] for C's, and writes a stack into what was thrown, be it null
    const awaitAsync = timed(futureMethods.await_async, 'await_async');
    futureMethods._original_await_async = awaitAsync; // it need not do it again
    futureMethods.await_async = function (...args) {
        if (args.length === awaitAsync.length)
            return awaitAsync.apply(this, args);
        return new Promise((resolve, reject) => {
            awaitAsync.call(this, ...args, (_, result) => {
                try {
                    resolve(this.await_finish(result));
                } catch (error) {
                    reject(error);
                }
            });
        });
    };

    bindCallback(futureMethods, 'add_done_callback', 0);

    futureMethods.then = function (fulfilled, rejected) {
        return new Promise((resolve, reject) => {
            this.add_done_callback(() => {
                try {
                    resolve(this.get_result());
                } catch (error) {
                    reject(error);
                }
            });
        }).then(fulfilled, rejected);
    };
    futureMethods.catch = function (rejected) {
        return this.then(undefined, rejected);
    };
    futureMethods.finally = function (callback) {
        return this.then().finally(callback);
    };

    const runUntilComplete = loopMethods.run_until_complete;
    // returns the result
    loopMethods.run_until_complete = function (future) {
        try {
            runUntilComplete.call(this, future);
        } catch (error) {
            throw thrownBy(future, error);
        }
        return future.get_result();
    };

    // Selectors

    for (const [name, n] of [['register', 2], ['modify', 2]]) {
        const method = selectorMethods[name];
        selectorMethods[name] = function (...args) {
            return passValue(args[n], given => method.call(this, ...args.slice(0, n), given));
        };
    }
    const newKey = Evp.SelectorKey.new;
    Evp.SelectorKey.new = (fd, events, data) => passValue(data, given => newKey(fd, events, given));
    const getData = Evp.SelectorKey.prototype.get_data;
    Evp.SelectorKey.prototype.get_data = function () {
        return fromValue(getData.call(this));
    };
    const setData = Evp.SelectorKey.prototype.set_data;
    Evp.SelectorKey.prototype.set_data = function (data) {
        passValue(data, given => setData.call(this, given));
    };

    // Child processes and their watchers

    bindCallback(Evp.AbstractChildWatcher.prototype, 'add_child_handler', 1);

    const newChildHandler = Evp.ChildHandler.new;
    Evp.ChildHandler.new = (pid, loop, callback, ...args) => newChildHandler(pid, loop, guard(callback, args));

    // null while it runs
    const getReturncode = Evp.Subprocess.prototype.get_returncode;
    Evp.Subprocess.prototype.get_returncode = function () {
        const returncode = getReturncode.call(this);
        return returncode === Evp.RETURNCODE_NONE ? null : returncode;
    };
    Object.defineProperty(Evp.Subprocess.prototype, 'returncode', {
        configurable: true,
        enumerable: true,
        get() {
            return this.get_returncode();
        },
    });

    // Programs

    // what the policy makes may live in another context, where no promise goes on
    function runAdopted(policy, start) {
        const loop = Evp.SelectorEventLoop.new(null, GLib.MainContext.default());
        try {
            policy.set_event_loop(loop);
            const ended = loop.create_future();
            loop.call_soon(() => {
                const future = start(loop);
                loop.add_signal_handler(SIGINT, () => {
                    loop.remove_signal_handler(SIGINT); // the next one has its default effect
                    future.cancel();
                });
                future.chain(ended);
            });
            return loop.run_until_complete(ended);
        } finally {
            try {
                policy.set_event_loop(null);
            } finally {
                loop.close();
            }
        }
    }

    // GJS lets go of a function too often if it calls one of C's inside of the same one
    const runInContext = Evp.run_in_context;
    Evp.run_in_context = function (context, main) {
        if (getRunningLoop()) {
            throw makeError(Evp.Error.LOOP_RUNNING,
                _('evp_run() cannot be called while a loop runs in this thread; call the function itself'));
        }
        return runInContext(context, main);
    };

    // Runs main(loop, …args) in a new loop of the default main context until the promise or future that it
    // returns is done, and returns its result. The first Ctrl-C cancels it.
    Evp.run = function (main, ...args) {
        let future = null;

        function start(loop) {
            const given = loop.create_future();
            const end = set => value => {
                if (!given.done())
                    set.call(given, value);
            };
            new Promise(resolve => resolve(main(loop, ...args))).then(end(given.set_result), end(given.set_error));
            future = given;
            return given;
        }

        const policy = Evp.get_event_loop_policy();
        try {
            Evp.run_in_context(GLib.MainContext.default(), loop => {
                if (GLib.MainContext.get_thread_default() === null)
                    return start(loop);
                const nothing = loop.create_future();
                nothing.set_result(null);
                return nothing;
            });
        } catch (error) {
            throw thrownBy(future, error);
        }
        return future ? future.get_result() : runAdopted(policy, start);
    };
}
