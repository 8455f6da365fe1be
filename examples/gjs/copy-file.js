#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// A file is copied by a proactor: the kernel, or a worker thread, reads and writes while the loop goes on.

imports.gi.versions.Evp = '1.0';
const {Evp, Gio} = imports.gi;

Evp.set_event_loop_policy(new Evp.ProactorEventLoopPolicy());

Evp.run(async loop => {
    const source = Gio.File.new_for_path(ARGV[0] ?? imports.system.programInvocationName);
    const [target, stream] = Gio.File.new_tmp('copy-XXXXXX');
    stream.close(null);

    const content = await loop.load_file_async(source, null);
    await loop.save_file_async(target, content, null);
    print(`${target.query_info('standard::size', Gio.FileQueryInfoFlags.NONE, null).get_size()} bytes copied`);
    target.delete(null);
});
