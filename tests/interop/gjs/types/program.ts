// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A program with types, for test_types.py: "tsc --strict" finds nothing wrong in it, and GJS runs what becomes of it.

import Evp from 'gi://Evp?version=1.0';
import Gio from 'gi://Gio?version=2.0';
import GLib from 'gi://GLib?version=2.0';
import GObject from 'gi://GObject?version=2.0';

class Policy extends Evp.DefaultEventLoopPolicy {
    static {
        GObject.registerClass({Implements: [Evp.AbstractEventLoopPolicy]}, this);
    }

    vfunc_get_event_loop(): Evp.AbstractEventLoop {
        return super.vfunc_get_event_loop();
    }
}

const seen: string[] = [];

function note(text: string, number: number): void {
    seen.push(`${text} ${number}`);
}

async function child(loop: Evp.AbstractEventLoop): Promise<number> {
    const options = new Evp.SubprocessOptions({stdin: Evp.Stdio.PIPE, stdout: Evp.Stdio.PIPE, cwd: '/'});
    const process: Evp.Subprocess = await loop.subprocess_shell_async('cat; echo from a child; exit 3', options, null);
    const code: number | null = process.get_returncode();
    if (code === null)
        seen.push('it has not ended');
    const [output] = await process.communicate_async(null, null);
    if (output !== null)
        seen.push(new TextDecoder().decode(output.get_data() ?? undefined).trim());
    return process.wait_async(null);
}

// what the override adds is there in every class
async function onItsOwn(): Promise<string> {
    const context = GLib.MainContext.new();
    const loop = Evp.SelectorEventLoop.new(null, context);
    const future: Evp.Future = loop.create_future();
    const texts: string[] = [];
    loop.call_soon_threadsafe(text => texts.push(text), 'threadsafe').cancelled();
    loop.call_soon((text, number) => texts.push(`${text} ${number}`), 'soon', 1);
    loop.call_later(0.001, value => future.set_result(value), {texts});
    loop.call_soon(() => {
        throw new RangeError('of a callback');
    });
    loop.set_exception_handler((_loop, context, name) => texts.push(`${name} ${context.exception.message}`), 'handled');
    const watcher = new Evp.PidfdChildWatcher();
    try {
        watcher.add_child_handler(-1, (pid, returncode, name) => texts.push(`${name} ${pid} ${returncode}`), 'name');
    } catch (error) {
        texts.push('no child');
    }
    watcher.close();
    while (!future.done())
        context.iteration(true);
    const result: {texts: string[]} = future.get_result();
    loop.close();
    return result.texts.sort().join(', ');
}

// never called
function everyClass(loop: Evp.BaseEventLoop, selector: Evp.SelectorEventLoop, proactor: Evp.ProactorEventLoop,
    base: Evp.BaseChildWatcher, pidfd: Evp.PidfdChildWatcher, threaded: Evp.ThreadedChildWatcher,
    safe: Evp.SafeChildWatcher, fast: Evp.FastChildWatcher, multi: Evp.MultiLoopChildWatcher,
    glib: Evp.GLibChildWatcher): void {
    const handles: Evp.Handle[] = [
        loop.call_soon_threadsafe(note, 'of a base class', 1),
        selector.call_soon_threadsafe(note, 'of a selector', 2),
        proactor.call_soon_threadsafe(note, 'of a proactor', 3),
    ];
    function exited(pid: number, returncode: number, name: string): void {
        seen.push(`${name} ${pid} ${returncode} ${handles.length}`);
    }
    base.add_child_handler(1, exited, 'base');
    pidfd.add_child_handler(1, exited, 'pidfd');
    threaded.add_child_handler(1, exited, 'threaded');
    safe.add_child_handler(1, exited, 'safe');
    fast.add_child_handler(1, exited, 'fast');
    multi.add_child_handler(1, exited, 'multi-loop');
    glib.add_child_handler(1, exited, 'GLib');
}

async function main(loop: Evp.AbstractEventLoop, greeting: string): Promise<string> {
    const handle: Evp.Handle = loop.call_soon(note, 'never', 0);
    handle.cancel();
    loop.call_soon_threadsafe(note, 'soon', 1).cancelled();
    const timer: Evp.TimerHandle = loop.call_later(0.01, note, 'later', 2);
    const when: number = timer.when();

    const future = loop.create_future();
    loop.call_at(when, () => future.set_result([1, 2, 3]));
    const numbers: number[] = await future;

    const failing = loop.create_future();
    failing.add_done_callback((done, name) => seen.push(`${name} ${done.cancelled()}`), 'cancelled:');
    failing.set_error(new TypeError('of JavaScript'));
    await failing.catch(error => seen.push(`${error.name} ${error.message}`)).finally(() => seen.push('finally'));

    const reported = new Promise<string>(resolve => {
        loop.set_exception_handler((_loop, context) => resolve(context.exception.message));
    });
    loop.call_soon(() => {
        throw new RangeError('for the handler');
    });
    seen.push(await reported);
    loop.set_exception_handler(null);

    seen.push(await onItsOwn());

    try {
        loop.close();
    } catch (error) {
        if (error instanceof GLib.Error && error.matches(Evp.Error, Evp.Error.LOOP_RUNNING))
            seen.push('it runs');
    }
    try {
        await loop.subprocess_exec_async(['/does/not/exist'], null, null);
    } catch (error) {
        if (error instanceof GLib.Error && error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND))
            seen.push('not found');
    }
    return `${greeting} ${numbers.length} ${await child(loop)}`;
}

Evp.set_event_loop_policy(new Policy());
const result: string = Evp.run(main, 'hello');
print([...seen, result].join('\n'));
