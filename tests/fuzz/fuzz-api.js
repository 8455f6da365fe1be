// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The part of fuzz-api.py that runs in JavaScript, in a process of its own: random calls.

imports.gi.versions.Evp = '1.0';
const {Evp, Gio, GLib, GObject} = imports.gi;
const System = imports.system;

const [, bytes] = GLib.file_get_contents(ARGV[0]);
const job = JSON.parse(new TextDecoder().decode(bytes));
const logFile = Gio.File.new_for_path(job.log).append_to(Gio.FileCreateFlags.NONE, null);
const CHILD = GLib.getenv('EVP_TEST_CHILD') ?? '/bin/true';
const LONG = 'x'.repeat(100000);
const MAX_POOL = 400;

let state = job.seed >>> 0;

// mulberry32
function random() {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

const below = n => Math.floor(random() * n);
const choice = items => items[below(items.length)];

const INTEGERS = {
    gint8: [-(2 ** 7), 2 ** 7 - 1], guint8: [0, 255], gint: [-(2 ** 31), 2 ** 31 - 1], gint32: [-(2 ** 31), 2 ** 31 - 1],
    guint: [0, 2 ** 32 - 1], guint32: [0, 2 ** 32 - 1], gint64: [-(2 ** 53), 2 ** 53 - 1], guint64: [0, 2 ** 53 - 1],
    gsize: [0, 2 ** 53 - 1], gssize: [-(2 ** 53), 2 ** 53 - 1], 'GLib.Pid': [-(2 ** 31), 2 ** 31 - 1],
};
const DOUBLES = [0, -0, 1e-9, 0.001, -1, 3.5, 1e308, -1e308, 5e-324, Infinity, -Infinity, NaN];
const STRINGS = ['', 'x', 'default', 'a b', 'ä€😀', '%s%n%d', '/nonexistent/x', 'line\nline', LONG];
const HOSTS = ['', '127.0.0.1', '::1', '0.0.0.0', '300.1.1.1.1.1', '\n', LONG]; // no name server is asked
const pool = [];
const records = new Set(Object.keys(job.classes).filter(name => job.classes[name].kind === 'record'));

function log(text) {
    logFile.write_all(`${text.slice(0, 300).replaceAll('\n', ' ')}\n`, null);
}

function show(value) {
    let text;
    try {
        text = typeof value === 'string' ? value : String(value);
    } catch (error) {
        text = typeof value;
    }
    return text.length <= 80 ? text : `${text.slice(0, 60)}…(${text.length})`;
}

function callback() {
    if (random() < 0.1)
        throw new Error('thrown on purpose');
}

function attempt(func) {
    try {
        return func() ?? null;
    } catch (error) {
        return null;
    }
}

function add(thing) {
    if (Array.isArray(thing)) {
        thing.slice(0, 8).forEach(add);
    } else if (thing !== null && typeof thing === 'object' && !(thing instanceof Promise) && !(thing instanceof Error)) {
        pool.push(thing);
        if (pool.length > MAX_POOL)
            pool.splice(below(pool.length), 1);
    }
    return thing;
}

function some(kind) {
    const found = pool.filter(thing => attempt(() => thing instanceof kind) === true);
    return found.length ? choice(found) : null;
}

function descriptor() {
    switch (below(5)) {
    case 0:
        return choice([-1, -(2 ** 31), 2 ** 31 - 1, 1000000, -2]);
    case 1:
        return 900; // closed, most likely
    default: {
        // kept for ever: some calls take the descriptor
        const [ok, , , out] = attempt(() => GLib.spawn_async_with_pipes(null, [CHILD, 'exit', '0'], null,
            GLib.SpawnFlags.DEFAULT, null)) ?? [false];
        return ok ? out : -1;
    }
    }
}

function spawn() {
    return attempt(() => GLib.spawn_async(null, [CHILD, 'exit', '3'], null, GLib.SpawnFlags.DO_NOT_REAP_CHILD, null)[1]) ?? -1;
}

function stock() {
    const loops = [() => new Evp.SelectorEventLoop(), () => new Evp.ProactorEventLoop(),
        () => new Evp.SelectorEventLoop({selector: new Evp.PollSelector()}),
        () => new Evp.ProactorEventLoop({proactor: new Evp.GioProactor()}),
        () => new Evp.SelectorEventLoop({main_context: GLib.MainContext.default()})].map(attempt).filter(loop => loop);
    add(loops);
    const closed = new Evp.SelectorEventLoop();
    add([closed.call_soon(callback), closed.create_future(), closed]);
    closed.close();
    for (const loop of loops) {
        const [pending, done, failed, cancelled] = [0, 1, 2, 3].map(() => loop.create_future());
        attempt(() => done.set_result(null));
        attempt(() => failed.set_error(new GLib.Error(Evp.Error, Evp.Error.FAILED, 'why')));
        cancelled.cancel();
        const cut = loop.call_soon(callback);
        cut.cancel();
        add([pending, done, failed, cancelled, cut, loop.call_soon(callback), loop.call_later(0.01, callback),
            loop.call_at(1e300, callback)]);
    }
    for (const name of ['Pidfd', 'Threaded', 'Safe', 'Fast', 'MultiLoop', 'GLib']) {
        const watcher = attempt(() => new Evp[`${name}ChildWatcher`]());
        const over = attempt(() => new Evp[`${name}ChildWatcher`]());
        if (name !== 'Fast') // it takes everybody's children
            attempt(() => watcher.attach_loop(loops[0]));
        attempt(() => over.close());
        add([watcher, over]);
    }
    for (const [name, entry] of Object.entries(job.classes)) {
        const kind = Evp[name];
        if (entry.kind === 'class' && !entry.abstract) {
            add(attempt(() => new kind()));
            add(attempt(() => GObject.Object.new(kind.$gtype, {})));
        }
        add(attempt(() => kind.new()));
    }
    const cut = new Gio.Cancellable();
    cut.cancel();
    const socket = (family, type) => attempt(() => Gio.Socket.new(family, type, Gio.SocketProtocol.DEFAULT));
    const over = socket(Gio.SocketFamily.IPV4, Gio.SocketType.STREAM);
    over.close();
    add([new Gio.Cancellable(), cut, new GLib.MainContext(), GLib.MainContext.default(),
        Gio.Task.new(loops[0], null, null), over,
        socket(Gio.SocketFamily.IPV4, Gio.SocketType.STREAM), socket(Gio.SocketFamily.IPV4, Gio.SocketType.DATAGRAM),
        socket(Gio.SocketFamily.UNIX, Gio.SocketType.STREAM),
        Gio.InetSocketAddress.new_from_string('127.0.0.1', 1), new Gio.UnixSocketAddress({path: 'socket'}),
        Gio.MemoryInputStream.new_from_bytes(new GLib.Bytes(new Uint8Array(1000))),
        Gio.MemoryOutputStream.new_resizable(), Gio.File.new_for_path('file'), Gio.File.new_for_path('.'),
        new GLib.Bytes(new Uint8Array(0)), new GLib.Bytes(new Uint8Array(100000)), new Gio.SimpleAction({name: 'x'})]);
}

function value(argument, where) {
    const {type, name} = argument;
    if (name === 'timeout' && where.includes('select')) {
        // one below zero waits for ever
        return choice([0, -0, 0.001, NaN]);
    }
    if (argument.nullable && random() < 0.3)
        return null;
    if (random() < 0.04)
        return choice([null, undefined, 1, -1, 'x', [], [null], {}, 1.5, callback, Symbol.iterator, choice(pool)]);
    if (type in INTEGERS) {
        const [low, high] = INTEGERS[type];
        if (name.includes('fd'))
            return descriptor();
        if (type === 'GLib.Pid' || name === 'pid')
            return random() < 0.5 ? spawn() : choice([0, -1, low, high, 1]);
        return choice([0, 1, 2, 3, 17, 64, 65536, low, high, low + 1, high - 1, low < 0 ? -1 : high, 0.5, NaN]);
    }
    if (type === 'gdouble')
        return choice(DOUBLES);
    if (type === 'gboolean')
        return random() < 0.5;
    if (type === 'utf8' || type === 'filename') {
        if (name.includes('host') || name.includes('server_name') || name === 'node' || name === 'name')
            return choice(HOSTS);
        if (name.includes('path'))
            return choice(['', 'socket', 'file', '/nonexistent/x', LONG, '.']);
        return choice(STRINGS);
    }
    if (type === 'GType')
        return choice([GObject.TYPE_INVALID, GObject.TYPE_INT, GObject.TYPE_OBJECT, choice(pool)?.constructor?.$gtype]);
    if (type === 'GObject.Value')
        return choice([null, 1, 1.5, 'x', true, choice(pool)]);
    if (type.startsWith('callback:'))
        return callback;
    if (type.startsWith('array:')) {
        if (type === 'array:guint8')
            return choice([new Uint8Array(0), new Uint8Array(100000)]);
        if (type === 'array:utf8' || type === 'array:filename')
            return choice([[], [CHILD, 'exit', '1'], ['x'], [''], ['/nonexistent/x'], Array(1000).fill('x'), ['127.0.0.1']]);
        return choice([[], [0], [1, 2, 3]]);
    }
    if (type === 'GLib.Error')
        return new GLib.Error(Evp.Error, below(5), choice(STRINGS));
    const [namespace, kind] = type.split('.');
    const found = {Evp, Gio, GLib, GObject}[namespace]?.[kind];
    if (typeof found === 'function')
        return some(found);
    return found === undefined ? null : choice([0, 1, 2, 3, -1, 64, 2 ** 31 - 1]);
}

function call(owner, func, what) {
    const {name} = func;
    // this one waits for the future itself
    if (name === 'await_finish' || typeof owner[name] !== 'function')
        return;
    const values = func.arguments.map(argument => value({...argument, name: argument.name ?? ''}, name));
    log(`${what}.${name} (${values.map(show).join(', ')}) on ${show(owner)}`);
    if (name === 'run_forever' || name === 'run_until_complete') {
        attempt(() => owner.call_soon_threadsafe(() => owner.stop()));
        attempt(() => owner.stop());
    }
    add(attempt(() => {
        const result = owner[name](...values);
        if (result instanceof Promise)
            result.catch(() => {});
        return result;
    }));
}

function step(name) {
    const entry = job.classes[name];
    if (entry.kind === 'namespace') {
        call(Evp, choice(entry.functions), 'Evp');
        return;
    }
    const kind = Evp[name];
    const statics = [...entry.constructors, ...entry.functions];
    const owner = some(kind);
    const which = random();
    if ((which < 0.1 || owner === null) && statics.length) {
        call(kind, choice(statics), name);
    } else if (which < 0.15 && entry.kind === 'class' && !entry.abstract) {
        const properties = {};
        for (const member of entry.properties) {
            if (member.writable && random() < 0.5)
                properties[member.name.replaceAll('-', '_')] = value({...member, nullable: true}, '');
        }
        log(`new ${name} (${Object.entries(properties).map(([key, item]) => `${key}: ${show(item)}`).join(', ')})`);
        add(attempt(() => new kind(properties)));
    } else if (owner !== null && which < 0.25 && entry.properties?.length) {
        const member = choice(entry.properties);
        const key = member.name.replaceAll('-', '_');
        if (member.writable && random() < 0.6) {
            const given = value({...member, nullable: true}, '');
            log(`${name}.${key} = ${show(given)} on ${show(owner)}`);
            attempt(() => {
                owner[key] = given;
            });
        } else {
            log(`${name}.${key} on ${show(owner)}`);
            add(attempt(() => owner[key]));
        }
    } else if (owner !== null && entry.methods.length) {
        call(owner, choice(entry.methods), name);
    }
}

function breathe() {
    for (const loop of pool.filter(thing => attempt(() => thing instanceof Evp.AbstractEventLoop) === true)) {
        log(`turn of ${show(loop)}`);
        if (attempt(() => loop.call_soon(() => loop.stop())) !== null)
            attempt(() => loop.run_forever());
    }
    for (let i = 0; i < 5; i++)
        GLib.MainContext.default().iteration(false);
}

const others = Object.keys(job.classes).filter(name => !records.has(name));
stock();
for (let i = 0; i < job.calls; i++) {
    step(random() < 0.75 ? job.name : choice(others));
    if (i % 20 === 19)
        breathe();
    if (i % 100 === 99)
        System.gc();
}
log('dropping');
pool.length = 0;
System.gc();
Evp.set_event_loop_policy(null);
for (let i = 0; i < 5; i++)
    GLib.MainContext.default().iteration(false);
System.gc();
log('END');
