#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// A child watcher of one's own, from scratch, for the whole process: it leaves the waiting to GLib.

imports.gi.versions.Evp = '1.0';
const {Evp, GLib, GObject} = imports.gi;

const GLibWatcher = GObject.registerClass({
    Implements: [Evp.AbstractChildWatcher],
}, class GLibWatcher extends GObject.Object {
    _init() {
        super._init();
        this.sources = new Map();
    }

    vfunc_add_handler(pid, handler) {
        this.vfunc_remove_handler(pid);
        this.sources.set(pid, GLib.child_watch_add(GLib.PRIORITY_DEFAULT, pid, (_pid, status) => {
            this.sources.delete(pid);
            // a wait status has the exit code in its upper byte, or the signal in the lower one
            handler.invoke(pid, status & 0x7f ? -(status & 0x7f) : status >> 8);
        }));
        return true;
    }

    vfunc_remove_handler(pid) {
        const source = this.sources.get(pid);
        if (!source)
            return false;
        this.sources.delete(pid);
        return GLib.source_remove(source);
    }

    vfunc_attach_loop(_loop) {
        return true; // the default main context is all it needs
    }

    vfunc_is_active() {
        return true;
    }

    vfunc_close() {
        [...this.sources.keys()].forEach(pid => this.vfunc_remove_handler(pid));
    }
});

Evp.set_child_watcher(new GLibWatcher());
Evp.run(async loop => {
    const process = await loop.subprocess_shell_async('exit 3', null, null);
    print(`the return code is ${await process.wait_async(null)}`);
});
