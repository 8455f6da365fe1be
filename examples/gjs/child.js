#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// A child process: its input, its output, and how it ended.

imports.gi.versions.Evp = '1.0';
const {Evp, GLib} = imports.gi;

Evp.run(async loop => {
    const options = new Evp.SubprocessOptions();
    options.set_stdin(Evp.Stdio.PIPE);
    options.set_stdout(Evp.Stdio.PIPE);
    const process = await loop.subprocess_exec_async(['tr', 'a-z', 'A-Z'], options, null);
    const [output] = await process.communicate_async(new GLib.Bytes('hello from a child'), null);
    print(`${new TextDecoder().decode(output.get_data())} (return code ${process.get_returncode()})`);

    try {
        await loop.subprocess_exec_async(['/does/not/exist'], null, null);
    } catch (error) {
        print(`as it should: ${error.message}`);
    }
});
