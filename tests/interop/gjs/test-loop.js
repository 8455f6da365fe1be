// SPDX-License-Identifier: LGPL-2.1-or-later
// The library's loop, as JavaScript sees it, and loops and selectors written in it.

imports.searchPath.unshift(imports.gi.GLib.path_get_dirname(imports.system.programInvocationName));
const {test, run, assert, assertEqual, assertError, assertThrows, runGjs} = imports.evptest;
const {Evp, Gio, GLib, GObject} = imports.gi;
const System = imports.system;

const SIGUSR1 = 10;

function withLoop(func) {
    return () => {
        const loop = new Evp.SelectorEventLoop();
        try {
            func(loop);
        } finally {
            loop.close();
        }
    };
}

function adoptedLoop() {
    return Evp.SelectorEventLoop.new(null, GLib.MainContext.default());
}

function turn(loop) {
    loop.stop();
    loop.run_forever();
}

// Rules: C-1, C-2, C-3, C-8
test('order-and-arguments', withLoop(loop => {
    const seen = [];
    const note = (...args) => seen.push(args);
    loop.call_soon(note, 'soon');
    loop.call_soon_threadsafe(note, 1, 'a', null);
    loop.call_later(0, note);
    loop.call_later(0.001, () => loop.stop());
    assertEqual(seen, []);
    loop.run_forever();
    assertEqual(seen, [['soon'], [1, 'a', null], []]);
}));

// Rules: C-5, C-7, C-14
test('timers', withLoop(loop => {
    const seen = [];
    const now = loop.time();
    for (const [delay, name] of [[0.004, 'c'], [0.002, 'a'], [0.002, 'b']]) {
        const handle = loop.call_at(now + delay, () => seen.push(name));
        assert(Math.abs(handle.when() - now - delay) < 1e-6);
    }
    loop.call_at(now + 0.004, () => loop.stop());
    loop.run_forever();
    assertEqual(seen, ['a', 'b', 'c']);
    assert(loop.time() >= now + 0.004);
    assertError(() => loop.call_later(NaN, () => {}), Evp.Error.INVALID_ARGUMENT);
    loop.call_at(now, (...args) => seen.push(...args), 'with', 'arguments');
    turn(loop);
    assertEqual(seen.slice(3), ['with', 'arguments']);
}));

// Rules: C-11, C-12, I-4
test('cancel', withLoop(loop => {
    const never = () => assert(false, 'it was cancelled');
    for (const handle of [loop.call_soon(never), loop.call_later(0, never), loop.call_soon_threadsafe(never)]) {
        assert(!handle.cancelled());
        handle.cancel();
        handle.cancel();
        assert(handle.cancelled());
    }
    turn(loop);
}));

// Rules: L-14
test('closed', () => {
    const loop = new Evp.SelectorEventLoop();
    loop.call_soon(() => assert(false, 'it is closed'));
    loop.close();
    loop.close();
    for (const call of [() => loop.call_soon(() => {}), () => loop.call_later(1, () => {}), () => loop.run_forever(),
        () => loop.call_soon_threadsafe(() => {}),
        () => loop.add_reader(0, () => {}), () => loop.add_signal_handler(SIGUSR1, () => {})])
        assertError(call, Evp.Error.LOOP_CLOSED);
    assert(loop.is_closed() && !loop.remove_reader(0));
});

// Rules: D-3
test('not-callable', withLoop(loop => {
    assertThrows(() => loop.call_soon(null), TypeError);
    assertThrows(() => loop.call_later(1, 'text'), TypeError);
}));

// Rules: F-1, F-3, F-4, F-5
test('readers-and-writers', withLoop(loop => {
    const seen = [];
    const [, pid, stdin, stdout] = GLib.spawn_async_with_pipes(null, ['cat'], null, GLib.SpawnFlags.SEARCH_PATH, null);
    assert(pid);
    const input = new Gio.UnixOutputStream({fd: stdin, close_fd: true});
    const output = new Gio.UnixInputStream({fd: stdout, close_fd: true});
    loop.add_writer(stdin, (fd, text) => {
        assertEqual(fd, stdin);
        input.write(text, null);
        assert(loop.remove_writer(stdin));
    }, 'hello');
    loop.add_reader(stdout, fd => {
        seen.push(fd === stdout, output.read_bytes(16, null).get_size());
        loop.stop();
    });
    loop.run_forever();
    assertEqual(seen, [true, 5]);
    assert(loop.remove_reader(stdout) && !loop.remove_reader(stdout) && !loop.remove_writer(stdin));
    input.close(null);
    output.close(null);
}));

// Rules: G-4, G-5
test('signals', withLoop(loop => {
    const seen = [];
    loop.add_signal_handler(SIGUSR1, (...args) => {
        seen.push(args);
        loop.stop();
    }, 'x');
    const self = new Gio.Credentials().get_unix_pid();
    loop.call_soon(() => GLib.spawn_command_line_sync(`kill -USR1 ${self}`));
    loop.run_forever();
    assertEqual(seen, [[SIGUSR1, 'x']]);
    assert(loop.remove_signal_handler(SIGUSR1) && !loop.remove_signal_handler(SIGUSR1));
}));

// Rules, Z-43
test('exceptions', withLoop(loop => {
    const seen = [];
    const fail = () => {
        throw new TypeError('mine');
    };
    loop.set_exception_handler((handled, context, extra) => seen.push([handled === loop, context, extra]), 'extra');
    const future = loop.create_future();
    future.add_done_callback(fail);
    future.set_result(null);
    loop.call_soon(fail);
    loop.call_later(0, fail);
    loop.call_soon_threadsafe(fail);
    let goesOn = false;
    loop.call_soon(() => {
        goesOn = true;
    });
    turn(loop);
    assertEqual(seen.length, 4);
    assert(goesOn);
    for (const [same, context, extra] of seen) {
        assert(same && extra === 'extra' && context.exception instanceof TypeError);
        assertEqual(context.get_message(), 'exception in callback fail');
        assertEqual(context.get_error().message, 'TypeError: mine');
        assert(context.get_string('traceback').includes('test-loop.js'));
    }
}));

// Rules
test('errors-of-c-are-reported-as-they-are', withLoop(loop => {
    const seen = [];
    loop.set_exception_handler((_loop, context) => seen.push(context));
    loop.call_soon(() => {
        throw new GLib.Error(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND, 'io');
    });
    turn(loop);
    // what C reports later is not what JavaScript threw before
    const context = Evp.ExceptionContext.new('reported by C');
    context.set_error(new GLib.Error(Evp.Error, Evp.Error.FORKED, 'forked'));
    loop.call_exception_handler(context);
    assertEqual(seen.length, 2);
    assert(seen[0].get_error().matches(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND));
    assertEqual(seen[0].get_error().message, 'io');
    assert(seen[1].exception.matches(Evp.Error, Evp.Error.FORKED), `${seen[1].exception}`);
}));

// Rules
test('no-exception-handler-again', () => {
    const [status, output, messages] = runGjs(`
        const loop = new Evp.SelectorEventLoop();
        loop.set_exception_handler(() => print('the old one'));
        loop.set_exception_handler(null);
        loop.call_soon(() => { throw new TypeError('mine'); });
        loop.call_soon(() => loop.stop());
        loop.run_forever();
        loop.close();`);
    assertEqual([status, output], [0, '']);
    assert(messages.includes('TypeError: mine'), messages);
});

// what can be thrown in JavaScript, and does not all turn into a string
const anything = ['text', null, undefined, 7, Symbol('sign'), Object.create(null), Object.freeze({stack: 5}), {
    toString() {
        throw new TypeError('no text');
    },
}];

// Rules
test('anything-thrown-is-reported', async () => {
    const loop = adoptedLoop();
    const seen = await new Promise(resolve => {
        const reported = [];
        loop.set_exception_handler((_loop, context) => {
            assert(context.get_error() instanceof GLib.Error);
            if (reported.push(context.exception) === 2 * anything.length)
                resolve(reported);
        });
        for (const thrown of anything) {
            loop.call_soon(() => {
                throw thrown;
            });
        }
        for (const thrown of anything)
            loop.call_later(0.001, () => Promise.reject(thrown));
    });
    anything.forEach(thrown => assertEqual(seen.filter(item => item === thrown).length, 2));
    loop.close();
});

// Rules
test('anything-thrown-without-a-loop-is-logged', () => {
    const [status, output, messages] = runGjs(`
        for (const thrown of ['text', null, Symbol('sign'), Object.create(null), new TypeError('mine')])
            Evp.ChildHandler.new(1, null, () => { throw thrown; }).invoke(1, 0);
        print('end');`);
    assertEqual([status, output], [0, 'end\n']);
    assertEqual(messages.match(/exception in callback \(anonymous\)/g).length, 5);
    assert(messages.includes('TypeError: mine') && messages.includes('Symbol(sign)'), messages);
});

// Rules: X-1
test('exception-handler-must-be-a-function', withLoop(loop => {
    const seen = [];
    loop.set_exception_handler((_loop, context) => seen.push(context.exception));
    assertThrows(() => loop.set_exception_handler('print'), TypeError);
    loop.call_soon(() => {
        throw new TypeError('mine');
    });
    turn(loop);
    assertEqual(seen.length, 1); // the one that there was
}));

// Rules: X-6
test('failing-exception-handler', () => {
    const Reporting = GObject.registerClass({
        Implements: [Evp.AbstractEventLoop],
    }, class Reporting extends Evp.SelectorEventLoop {
        vfunc_default_exception_handler(context) {
            this.report = context;
        }
    });
    const loop = new Reporting();
    loop.set_exception_handler(() => {
        throw new RangeError('handler');
    });
    loop.call_soon(() => {
        throw new TypeError('callback');
    });
    turn(loop);
    assertEqual(loop.report.get_error().message, 'RangeError: handler');
    assertEqual(loop.report.get_context().get_error().message, 'TypeError: callback');
    loop.close();
});

// Rules
test('rejected-promise', async () => {
    const loop = adoptedLoop();
    const seen = await new Promise(resolve => {
        loop.set_exception_handler((_loop, context) => resolve(context.exception));
        loop.call_soon(async () => {
            await null;
            throw new TypeError('later');
        });
    });
    assertEqual(seen.message, 'later');
    loop.close();
});

// nothing that can be awaited was forgotten by the override
test('every-async-method-is-a-promise', () => {
    let count = 0;
    for (const name of Object.keys(Evp)) {
        const methods = Evp[name]?.prototype;
        for (const method of methods ? Object.getOwnPropertyNames(methods) : []) {
            const stem = method.replace(/_async$/, '');
            if (stem === method || method.startsWith('_') || typeof methods[`${stem}_finish`] !== 'function')
                continue;
            assert(methods[`_original_${method}`], `${name}.${method} is no promise`); // as Gio._promisify() leaves it
            count++;
        }
    }
    assert(count > 25, `only ${count} were found`);
});

// Rules: L-7, L-8, L-9, L-10
test('refused-runs', withLoop(loop => {
    const other = new Evp.SelectorEventLoop();
    const done = loop.create_future();
    done.set_result('must not be asked for');
    const seen = [];
    loop.call_soon(() => {
        assertError(() => Evp.run(() => {}), Evp.Error.LOOP_RUNNING);
        for (const nested of [() => loop.run_forever(), () => other.run_forever(), () => loop.run_until_complete(done)])
            seen.push(assertError(nested, Evp.Error.LOOP_RUNNING).code);
        loop.stop();
    });
    loop.set_exception_handler((_loop, context) => seen.push(`${context.exception}`));
    loop.run_forever();
    assertEqual(seen, [Evp.Error.LOOP_RUNNING, Evp.Error.LOOP_RUNNING, Evp.Error.LOOP_RUNNING]);
    assertError(() => loop.run_until_complete(other.create_future()), Evp.Error.INVALID_ARGUMENT);
    loop.call_soon(() => loop.stop());
    assertError(() => loop.run_until_complete(loop.create_future()), Evp.Error.LOOP_STOPPED);
    other.close();
}));

// Rules: L-11, P-21
test('main-contexts', () => {
    for (const context of [new GLib.MainContext(), GLib.MainContext.default()]) {
        const loop = Evp.SelectorEventLoop.new(null, context);
        let inside = false;
        loop.call_soon(() => {
            inside = Evp.get_running_loop() === loop && loop.is_running();
            loop.stop();
        });
        loop.run_forever();
        assert(inside && !loop.is_running());
        loop.close();
    }
});

// Rules: P-24, I-3
test('adopted-and-nested', async () => {
    const loop = adoptedLoop();
    const inner = new GLib.MainLoop(null, false);
    const seen = [];
    await new Promise(resolve => {
        loop.call_soon(() => {
            seen.push(Evp.get_running_loop() === loop);
            loop.call_later(0.002, () => {
                seen.push('timer');
                inner.quit();
            });
            inner.run();
            seen.push('closed');
            resolve();
        });
    });
    assertEqual(seen, [true, 'timer', 'closed']);
    loop.close();
});

// Rules: U-1, U-3
test('future-values', withLoop(loop => {
    const object = {any: ['thing']};
    for (const value of [null, true, 0, -1, 2 ** 40, 1.5, '', 'text', object, [1, [2]], loop, 10n,
        Evp.SelectorEventLoop, () => 1, new Date(), new GLib.Variant('s', 'x'), Gio.File.new_for_path('/'), Symbol('x'),
        // what C's strings and numbers cannot hold, and what only looks like C's
        'a\0b', '\ud800', new String('object'), new Number(5), Evp.SelectorEventLoop.prototype, NaN,
        {constructor: {$gtype: 5}}, {
            get constructor() {
                throw new TypeError('mine');
            },
        }]) {
        const future = loop.create_future();
        future.set_result(value);
        for (const result of [future.get_result(), loop.run_until_complete(future)]) {
            if (value instanceof GLib.Variant)
                assert(result.equal(value));
            else
                assert(Object.is(result, value), `${typeof value}`);
            const key = Evp.SelectorKey.new(0, Evp.IOEvents.READ, value);
            key.set_data(null);
            key.set_data(value);
            if (!(value instanceof GLib.Variant))
                assert(Object.is(key.get_data(), value), `data: ${typeof value}`);
        }
    }
    const future = loop.create_future();
    future.set_result(undefined);
    assert(future.get_result() === null);
}));

// Rules: U-1, S-2
test('values-survive-garbage-collection', withLoop(loop => {
    const futures = [];
    const keys = [];
    for (let i = 0; i < 50; i++) {
        const [source, target] = [loop.create_future(), loop.create_future()];
        source.chain(target);
        source.set_result({i});
        futures.push(target);
        keys.push(Evp.SelectorKey.new(0, Evp.IOEvents.READ, [i]));
    }
    turn(loop);
    turn(loop);
    System.gc();
    System.gc();
    futures.forEach((future, i) => assertEqual(future.get_result(), {i}));
    keys.forEach((key, i) => assertEqual(key.get_data(), [i]));
}));

// Rules: U-2, U-3, U-4
test('future-states', withLoop(loop => {
    const future = loop.create_future();
    assertError(() => future.get_result(), Evp.Error.INVALID_STATE);
    future.set_result(1);
    assertError(() => future.set_result(2), Evp.Error.INVALID_STATE);
    assertError(() => future.set_error(new Error('x')), Evp.Error.INVALID_STATE);
    assert(!future.cancel() && future.done() && !future.cancelled());
    const cancelled = loop.create_future();
    assert(cancelled.cancel() && cancelled.cancelled());
    assertError(() => cancelled.get_result(), Evp.Error.CANCELLED);
    assertError(() => loop.run_until_complete(cancelled), Evp.Error.CANCELLED);
    for (const error of [new TypeError('mine'), new GLib.Error(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND, 'io')]) {
        const failed = loop.create_future();
        failed.set_error(error);
        assertEqual(assertThrows(() => loop.run_until_complete(failed), error.constructor).message, error.message);
    }
}));

// Rules: U-2, U-4
test('the-first-error-stays', withLoop(loop => {
    const [first, second] = [new TypeError('same'), new TypeError('same')];
    const failed = loop.create_future();
    failed.set_error(first);
    assertError(() => failed.set_error(second), Evp.Error.INVALID_STATE);
    const source = loop.create_future();
    source.chain(failed);
    source.set_error(second);
    turn(loop);
    turn(loop);
    assert(assertThrows(() => failed.get_result()) === first);
}));

// Rules: U-3, U-4
test('chained-errors', withLoop(loop => {
    for (const error of anything) {
        const [source, target] = [loop.create_future(), loop.create_future()];
        source.chain(target);
        source.set_error(error);
        let caught = target;
        try {
            loop.run_until_complete(target);
        } catch (thrown) {
            caught = thrown;
        }
        assert(caught === error, typeof error);
    }
}));

// Rules: U-5, U-6
test('future-callbacks', withLoop(loop => {
    const seen = [];
    const future = loop.create_future();
    future.add_done_callback((done, ...args) => seen.push(done === future, args), 1, 2);
    const id = future.add_done_callback(() => seen.push('removed'));
    assert(future.remove_done_callback(id));
    future.set_result(null);
    assertEqual(seen, []);
    turn(loop);
    assertEqual(seen, [true, [1, 2]]);
}));

// Rules: U-3, U-5
test('await', async () => {
    const loop = adoptedLoop();
    const future = loop.create_future();
    loop.call_later(0.001, () => future.set_result([1, 2]));
    assertEqual(await future, [1, 2]);
    assertEqual(await future, [1, 2]);
    const failed = loop.create_future();
    failed.set_error(new RangeError('awaited'));
    let caught = null;
    try {
        await failed;
    } catch (error) {
        caught = error;
    }
    assert(caught instanceof RangeError);
    assertEqual(await failed.catch(error => error.message), 'awaited');
    let last = false;
    await future.finally(() => {
        last = true;
    });
    assert(last);
    assertEqual(await Promise.all([future, future.then(([first]) => first)]), [[1, 2], 1]);
    assertEqual(await future.await_async(null), [1, 2]);
    loop.close();
});

// Rules: U-5
test('await-cancelled', async () => {
    const loop = adoptedLoop();
    const cancellable = new Gio.Cancellable();
    const future = loop.create_future();
    const waiting = future.await_async(cancellable).catch(error => error);
    cancellable.cancel();
    assert((await waiting).matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED));
    assert(!future.done());
    // it is that of the wait, not of the future
    future.set_error(new TypeError('mine'));
    const error = await future.await_async(cancellable).catch(caught => caught);
    assert(error instanceof GLib.Error && error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED), `${error}`);
    assert(assertThrows(() => future.get_result()) instanceof TypeError);
    loop.close();
});

// Rules: U-2, U-5
test('await-anything', async () => {
    const loop = adoptedLoop();
    for (const value of anything) {
        const failed = loop.create_future();
        const promise = failed.await_async(null);
        failed.set_error(value);
        for (const waiting of [promise, failed])
            assert(await waiting.then(() => 'a result', error => error === value) === true, typeof value);
    }
    // what C returns as an array that begins with true loses that; a result is none of C's
    const value = [true, 'second'];
    const done = loop.create_future();
    const promise = done.await_async(null);
    done.set_result(value);
    assert(await promise === value);
    assertEqual(value, [true, 'second']);
    const finished = await new Promise(resolve => {
        assert(done.await_async(null, (future, result) => resolve(future.await_finish(result))) === undefined);
    });
    assert(finished === value);
    loop.close();
});

// Rules: E-1
test('no-threads', withLoop(loop => {
    assertError(() => loop.run_in_executor(() => {}), Evp.Error.NOT_SUPPORTED, 'GJS');
    assertError(() => Evp.Executor.new(1).submit(loop, () => {}), Evp.Error.NOT_SUPPORTED, 'GJS');
}));

// Rules: L-19
test('run', () => {
    let made = null;
    const result = Evp.run(async (loop, first) => {
        made = loop;
        assert(Evp.get_running_loop() === loop);
        const future = loop.create_future();
        loop.call_later(0.001, () => future.set_result(20));
        return first + await future;
    }, 22);
    assertEqual(result, 42);
    assert(made.is_closed());
    assertEqual(Evp.run(() => 'plain'), 'plain');
    assertEqual(assertThrows(() => Evp.run(async () => {
        await null;
        throw new RangeError('out');
    }), RangeError).message, 'out');
});

// Rules: L-19, L-8
test('run-inside-of-run', () => {
    let inner = 0;
    const nested = () => {
        for (const run of [() => Evp.run(() => {}), () => Evp.run_in_context(null, loop => loop.create_future())]) {
            assertError(run, Evp.Error.LOOP_RUNNING, 'evp_run()');
            inner++;
        }
    };
    for (let i = 0; i < 3; i++) {
        Evp.run(async loop => {
            nested();
            await new Promise(resolve => loop.call_soon(() => {
                nested();
                System.gc();
                resolve();
            }));
            nested();
        });
    }
    assertEqual(inner, 18);
});

// Rules: L-19, P-14
test('run-asks-the-policy', () => {
    const Policy = GObject.registerClass({
        Implements: [Evp.AbstractEventLoopPolicy],
    }, class RunPolicy extends Evp.DefaultEventLoopPolicy {
        vfunc_new_event_loop() {
            this.made = super.vfunc_new_event_loop();
            return this.made;
        }
    });
    const policy = new Policy({selector_type: Evp.PollSelector.$gtype});
    Evp.set_event_loop_policy(policy);
    const seen = Evp.run(async loop => {
        await null;
        return [loop === policy.made, loop.selector instanceof Evp.PollSelector];
    });
    assertEqual(seen, [true, true]);
    assert(policy.made.is_closed());
});

// Rules: L-19
test('run-where-the-policy-makes-other-loops', () => {
    const Policy = GObject.registerClass({
        Implements: [Evp.AbstractEventLoopPolicy],
    }, class PrivatePolicy extends Evp.DefaultEventLoopPolicy {
        vfunc_new_event_loop() {
            this.made = new Evp.SelectorEventLoop(); // in a context of its own, where nothing is awaited
            return this.made;
        }

        vfunc_set_event_loop(loop) {
            this.set = loop;
            return super.vfunc_set_event_loop(loop);
        }
    });
    const policy = new Policy();
    Evp.set_event_loop_policy(policy);
    let ran = null;
    const error = assertThrows(() => Evp.run(async loop => {
        ran = loop;
        await null;
        assert(policy.set === loop);
        throw new RangeError('out');
    }), RangeError);
    assertEqual(error.message, 'out');
    assert(ran.is_closed() && policy.made.is_closed() && policy.made !== ran && policy.set === null);
});

// Rules: L-19
test('run-closes-the-loop-that-was-not-set', () => {
    const Policy = GObject.registerClass({
        Implements: [Evp.AbstractEventLoopPolicy],
    }, class RefusingPolicy extends Evp.DefaultEventLoopPolicy {
        vfunc_new_event_loop() {
            this.made = super.vfunc_new_event_loop();
            return this.made;
        }

        vfunc_set_event_loop() {
            throw new GLib.Error(Evp.Error, Evp.Error.FORKED, 'refused');
        }
    });
    const policy = new Policy();
    Evp.set_event_loop_policy(policy);
    assertError(() => Evp.run(() => assert(false, 'it was run')), Evp.Error.FORKED, 'refused');
    assert(policy.made.is_closed());
});

// Rules: L-19
test('run-selected-from-outside', () => {
    const code = 'Evp.run(loop => print(loop.selector ?? loop.proactor));';
    for (const [environment, name] of [[{EVP_SELECTOR: 'select'}, 'SelectSelector'],
        [{EVP_POLICY: 'proactor', EVP_PROACTOR: 'gio'}, 'GioProactor']]) {
        const [status, output, errors] = runGjs(code, environment);
        assertEqual([status, errors], [0, '']);
        assert(output.includes(name), output);
    }
});

// Rules: L-19
test('run-interrupted', () => {
    const [status, output, errors] = runGjs(`
        const self = new Gio.Credentials().get_unix_pid();
        try {
            Evp.run(loop => {
                loop.call_soon(() => GLib.spawn_command_line_async('kill -INT ' + self));
                return loop.create_future();
            });
        } catch (error) {
            print(error.matches(Evp.Error, Evp.Error.CANCELLED));
        }`);
    assertEqual([status, output, errors], [0, 'true\n', '']);
});

// Rules: L-19
test('run-interrupted-before-its-promise', () => {
    const [status, output, errors] = runGjs(`
        const self = new Gio.Credentials().get_unix_pid();
        let end = null;
        try {
            Evp.run(loop => {
                loop.call_soon(() => GLib.spawn_command_line_async('kill -INT ' + self));
                return new Promise(resolve => (end = resolve));
            });
        } catch (error) {
            print(error.matches(Evp.Error, Evp.Error.CANCELLED));
        }
        end('too late'); // and no harm
        const main = new GLib.MainLoop(null, false);
        new Promise(resolve => GLib.idle_add(GLib.PRIORITY_LOW, resolve)).then(() => main.quit());
        main.run();`);
    assertEqual([status, output, errors], [0, 'true\n', '']);
});

const Deriving = GObject.registerClass({
    Implements: [Evp.AbstractEventLoop],
}, class Deriving extends Evp.SelectorEventLoop {
    vfunc_schedule(handle) {
        (this.calls ??= []).push('schedule');
        return super.vfunc_schedule(handle);
    }

    vfunc_schedule_timer(handle) {
        this.calls.push(handle.when());
        return super.vfunc_schedule_timer(handle);
    }
});

const Deriving2 = GObject.registerClass({
    Implements: [Evp.AbstractEventLoop],
}, class Deriving2 extends Deriving {
    vfunc_schedule(handle) {
        (this.calls ??= []).push('schedule 2');
        return super.vfunc_schedule(handle);
    }
});

// Rules: P-36
test('derived-loop', () => {
    const loop = new Deriving2();
    let ran = false;
    loop.call_soon(() => {
        ran = true;
    });
    const timer = loop.call_later(0.001, () => loop.stop());
    loop.run_forever();
    assert(ran);
    assertEqual(loop.calls, ['schedule 2', 'schedule', timer.when()]);
    loop.close();
    const parent = new Deriving();
    parent.call_soon(() => {});
    assertEqual(parent.calls, ['schedule']);
    parent.close();
    const plain = new Evp.SelectorEventLoop();
    plain.call_soon(() => {});
    assert(plain.calls === undefined);
    plain.close();
});

// a loop from scratch: ready callbacks and timers, in the main context of whoever runs
const ScratchLoop = GObject.registerClass({
    Implements: [Evp.AbstractEventLoop],
}, class ScratchLoop extends GObject.Object {
    _init() {
        super._init();
        this.ready = [];
        this.timers = [];
        this.stopping = false;
        this.closed = false;
    }

    vfunc_run_forever() {
        do {
            // one look at the clock: a timer must not fall due between the two lists
            const now = this.vfunc_get_time_us();
            const due = handle => handle.when() * 1e6 <= now;
            this.ready.push(...this.timers.filter(due));
            this.timers = this.timers.filter(handle => !due(handle));
            this.ready.splice(0).forEach(handle => handle.run());
            if (!this.ready.length && this.timers.length && !this.stopping)
                GLib.usleep(100);
        } while (!this.stopping);
        this.stopping = false;
        return true;
    }

    vfunc_get_time_us() {
        return GLib.get_monotonic_time();
    }

    vfunc_stop() {
        this.stopping = true;
    }

    vfunc_is_closed() {
        return this.closed;
    }

    vfunc_close() {
        this.closed = true;
        [...this.ready, ...this.timers].forEach(handle => handle.cancel());
        return true;
    }

    vfunc_schedule(handle) {
        if (this.closed)
            throw new GLib.Error(Evp.Error, Evp.Error.LOOP_CLOSED, 'closed');
        this.ready.push(handle);
        return true;
    }

    vfunc_schedule_timer(handle) {
        this.timers.push(handle);
        this.timers.sort((a, b) => a.when() - b.when());
        return true;
    }
});

// Rules: L-1, C-1, C-5, P-24
test('loop-from-scratch', () => {
    const loop = new ScratchLoop();
    const seen = [];
    loop.call_soon((...args) => seen.push(args, Evp.get_running_loop() === loop), 'x');
    loop.call_later(0.002, () => seen.push('timer'));
    const cancelled = loop.call_soon(() => seen.push('never'));
    cancelled.cancel();
    const future = loop.create_future();
    loop.call_later(0.003, () => future.set_result('done'));
    assertEqual(loop.run_until_complete(future), 'done');
    assertEqual(seen, [['x'], true, 'timer']);
    assertError(() => loop.add_reader(0, () => {}), Evp.Error.NOT_SUPPORTED, 'ScratchLoop');
    loop.close();
    assertError(() => loop.call_soon(() => {}), Evp.Error.LOOP_CLOSED);
});

// GJS passes handles without a reference; a loop keeps them until they are due
// Rules: C-1, C-5, L-1
test('loop-from-scratch-keeps-handles', () => {
    const loop = new ScratchLoop();
    const seen = [];
    for (let i = 0; i < 50; i++) {
        loop.call_soon(() => seen.push(i));
        loop.call_later(0.002, () => seen.push(100 + i));
        const future = loop.create_future();
        future.add_done_callback(done => seen.push(200 + done.get_result())); // C schedules it
        future.set_result(i);
        loop.call_soon(() => System.gc());
    }
    loop.call_later(0.003, () => loop.stop());
    System.gc();
    loop.run_forever();
    const numbers = [...Array(50).keys()];
    for (const first of [0, 100, 200])
        assertEqual(seen.filter(i => i >= first && i < first + 100), numbers.map(i => first + i));
    loop.close();
});

// Rules
test('exception-contexts-can-be-kept', withLoop(loop => {
    const seen = [];
    loop.set_exception_handler((_loop, context) => {
        seen.push(context);
    });
    for (let i = 0; i < 20; i++) {
        const future = loop.create_future();
        future.set_error(new RangeError(`of future ${i}`)); // which nobody asks for
    }
    System.gc();
    System.gc();
    turn(loop);
    System.gc();
    turn(loop);
    assertEqual(seen.length, 20);
    for (const context of seen)
        assert(context.get_error().message.startsWith('RangeError: of future '), context.to_string());
    assert(seen.every(context => context.get_message() === seen[0].get_message()));
}));

// a proactor from scratch: it sends and receives when it is polled
const ScratchProactor = GObject.registerClass(class ScratchProactor extends Evp.Proactor {
    vfunc_attach(context) {
        this.context = context;
    }

    vfunc_supports(kind) {
        return kind === Evp.OperationKind.READ || kind === Evp.OperationKind.WRITE;
    }

    vfunc_submit(operation) {
        (this.operations ??= []).push(operation);
        (this.seen ??= []).push(operation);
        System.gc();
        this.context.wakeup();
        this.source ??= GLib.timeout_add(GLib.PRIORITY_DEFAULT, 1, () => {
            this.vfunc_poll();
            return GLib.SOURCE_CONTINUE;
        });
        return true;
    }

    vfunc_cancel(operation) {
        operation.fail(125); // ECANCELED
    }

    vfunc_get_fd() {
        return -1;
    }

    vfunc_poll() {
        const ready = this.operations?.splice(0) ?? [];
        for (const operation of ready.filter(item => item.is_pending())) {
            if (operation.get_kind() === Evp.OperationKind.READ)
                operation.complete(operation.store_data(new GLib.Bytes('read by JavaScript')));
            else
                operation.complete(operation.copy_data().get_size());
        }
        return ready.length;
    }

    vfunc_close() {
        if (this.source)
            GLib.source_remove(this.source);
        this.operations?.forEach(operation => operation.fail(125));
    }
});

// Rules: V-5
test('proactor-from-scratch', async () => {
    const proactor = new ScratchProactor();
    const loop = new Evp.ProactorEventLoop({main_context: GLib.MainContext.default(), proactor});
    const [file, stream] = Gio.File.new_tmp('evp-XXXXXX');
    const fd = stream.get_input_stream().get_fd();
    const reads = [];
    for (let i = 0; i < 20; i++)
        reads.push(loop.read_async(fd, 64, 0, null));
    System.gc();
    for (const bytes of await Promise.all(reads))
        assertEqual(new TextDecoder().decode(bytes.toArray()), 'read by JavaScript');
    assertEqual(await loop.write_async(fd, new GLib.Bytes('hello'), 0, null), 5);
    loop.close();
    System.gc();
    // what is kept longer than needed is still an operation
    assertEqual(proactor.seen.map(item => item.is_pending()), Array(21).fill(false));
    assert(proactor.seen.every(item => [5, 64].includes(item.get_length())));
    stream.close(null);
    file.delete(null);
});

// Rules: P-36
test('derived-selector', () => {
    const Counting = GObject.registerClass(class Counting extends Evp.PollSelector {
        vfunc_select(timeout) {
            this.selects = (this.selects ?? 0) + 1;
            return super.vfunc_select(timeout);
        }
    });
    const selector = new Counting();
    const key = selector.register(0, Evp.IOEvents.READ, ['data']);
    assertEqual(key.get_data(), ['data']);
    assertEqual(selector.get_key(0).get_fd(), 0);
    selector.select(0);
    assertEqual(selector.selects, 1);
    assertError(() => selector.register(0, Evp.IOEvents.READ), Evp.Error.EXISTS);
    selector.unregister(0);
    assertError(() => selector.get_key(0), Evp.Error.NOT_FOUND);

    const loop = Evp.SelectorEventLoop.new(selector, null);
    const [, , stdin, stdout] = GLib.spawn_async_with_pipes(null, ['cat'], null, GLib.SpawnFlags.SEARCH_PATH, null);
    new Gio.UnixOutputStream({fd: stdin, close_fd: true}).close(null);
    let ended = false;
    loop.add_reader(stdout, () => {
        ended = true;
        loop.stop();
    });
    loop.run_forever();
    assert(ended && selector.selects > 1);
    loop.close();
    new Gio.UnixInputStream({fd: stdout, close_fd: true}).close(null);
});

// Rules: C-15, L-18
test('garbage', withLoop(loop => {
    const seen = [];
    for (let i = 0; i < 50; i++) {
        const future = loop.create_future();
        future.add_done_callback(done => {
            if (seen.push(done.get_result().i) === 50)
                loop.stop();
        });
        loop.call_soon(() => future.set_result({i}));
        loop.call_later(60, () => {}).cancel();
        if (i % 10 === 0)
            loop.call_soon(() => System.gc());
    }
    loop.run_forever();
    assertEqual(seen, [...Array(50).keys()]);
}));

// Rules: L-18
test('exit-with-work-left', () => {
    assertEqual(runGjs(`
        const loop = Evp.get_event_loop();
        loop.call_later(60, () => {});
        loop.create_future().add_done_callback(() => {});
        loop.set_exception_handler(() => {});
        loop.call_soon(() => loop.stop());
        loop.run_forever();
        loop.close();`), [0, '', '']);
});

// Rules: D-1
test('statistics-and-debug', withLoop(loop => {
    loop.set_debug(true);
    assert(loop.get_debug());
    loop.call_soon(() => {});
    turn(loop);
    const statistics = loop.get_statistics();
    assert(statistics instanceof Evp.LoopStatistics);
    assert(statistics.get_callbacks() >= 1);
    assert(statistics.get_turns() >= 1);
    assertEqual([statistics.get_timers(), statistics.get_fds()], [0, 0]);
    assert(statistics.get_wakeups() >= 0);
    assert(statistics.get_longest_callback() > 0);
    assert(statistics.get_time_asleep() >= 0);
}));

// Rules: D-4, D-5
test('slow-callbacks-are-named', () => {
    const [, , messages] = runGjs(`
        const loop = new Evp.SelectorEventLoop();
        loop.set_debug(true);
        loop.slow_callback_duration = 0;
        function slow() {}
        loop.call_soon(slow);
        loop.call_later(0, () => loop.stop());
        loop.run_forever();
        loop.close();`);
    assert(/Executing slow, scheduled at .*:\d+:\d+, took \d\.\d{3} seconds/.test(messages), messages);
    assert(/Executing \(anonymous\), scheduled at .*:\d+:\d+, took/.test(messages), messages);
});

// Rules: D-4, D-5
test('slow-callbacks-without-a-handle-are-named', () => {
    const [, , messages] = runGjs(`
        const loop = new Evp.SelectorEventLoop();
        loop.set_debug(true);
        loop.slow_callback_duration = 0;
        function posted() {}
        function signalled() {
            loop.call_soon(() => loop.stop());
        }
        function done() {}
        loop.call_soon_threadsafe(posted);
        loop.add_signal_handler(10, signalled);
        const future = loop.create_future();
        future.add_done_callback(done);
        loop.call_soon(() => {
            imports.gi.GLib.spawn_command_line_sync('kill -USR1 ' + new imports.gi.Gio.Credentials().get_unix_pid());
            future.set_result(1);
        });
        loop.run_forever();
        loop.close();`);
    for (const name of ['posted', 'signalled', 'done'])
        assert(new RegExp(`Executing ${name}, scheduled at .*:\\d+:\\d+, took`).test(messages), messages);
    assert(!/overrides\/Evp\.js/.test(messages), messages); // it is never the file of the overrides that scheduled it
});

// Rules: D-4, D-5
test('slow-code-after-await-is-reported', () => {
    // what follows an await of a promise, of a future and of an asynchronous method takes long; the rest does not
    const [status, output, messages] = runGjs(`
        function work() {
            const end = GLib.get_monotonic_time() + 60000;
            while (GLib.get_monotonic_time() < end)
                ;
        }
        print(Evp.run(async loop => {
            loop.slow_callback_duration = 0.05;
            const start = loop.time();
            await new Promise(function promised(resolve) {
                loop.call_soon(resolve);
            });
            work();
            const future = loop.create_future();
            loop.call_soon(function resolver() {
                future.set_result(1);
            });
            await future;
            work();
            await Promise.resolve();
            const child = await loop.subprocess_exec_async(['true'], null, null);
            work();
            await child.wait_async(null);
            return 'done';
        }));`, {EVP_DEBUG: 'loop'});
    assertEqual([status, output], [0, 'done\n']);
    const reports = messages.split('\n').filter(line => /Executing code after an await/.test(line));
    for (const what of ['resumed by .*scheduled at', 'resumed by subprocess_exec_async\\(\\), called at']) {
        assert(reports.some(line => new RegExp(`${what} .*:\\d+:\\d+, took \\d+\\.\\d{3} seconds`).test(line)), messages);
    }
    assert(reports.length >= 3, messages);
    assert(!/(scheduled|called) at [^,]*overrides\//.test(messages), messages); // what called it is the program
});

// Rules: D-4
test('code-after-await-is-not-timed-without-debug-mode', () => {
    const [status, output, messages] = runGjs(`
        print(Evp.run(async loop => {
            loop.slow_callback_duration = 0;
            await new Promise(resolve => loop.call_later(0.001, resolve));
            const end = GLib.get_monotonic_time() + 5000;
            while (GLib.get_monotonic_time() < end)
                ;
            return 'done';
        }));`);
    assertEqual([status, output, messages], [0, 'done\n', '']);
});

run();
