#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// Unix signals as ordinary callbacks.

imports.gi.versions.Evp = '1.0';
const {Evp, Gio} = imports.gi;

const [SIGHUP, SIGTERM] = [1, 15];

Evp.run(async loop => {
    const terminated = loop.create_future();
    loop.add_signal_handler(SIGHUP, () => print('received SIGHUP'));
    loop.add_signal_handler(SIGTERM, () => terminated.set_result('received SIGTERM'));

    // somebody sends them; here it is a child of the program
    const self = new Gio.Credentials().get_unix_pid();
    const sender = await loop.subprocess_shell_async(`kill -HUP ${self}; sleep 0.1; kill -TERM ${self}`, null, null);
    print(await terminated);
    await sender.wait_async(null);
});
