#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// A GTK application: it drives the loop, and nobody calls run_forever().

imports.gi.versions.Evp = '1.0';
imports.gi.versions.Gtk = '4.0';
const {Evp, Gio, Gtk} = imports.gi;

if (!Gtk.init_check()) {
    printerr('there is no display');
    imports.system.exit(77);
}

const application = new Gtk.Application({application_id: 'com.example.Evp', flags: Gio.ApplicationFlags.NON_UNIQUE});

application.connect('activate', async () => {
    // it lives in the default main context, which the application iterates
    const loop = Evp.get_event_loop();
    const label = new Gtk.Label({label: '…'});
    const window = new Gtk.ApplicationWindow({application, title: 'Evp', child: label, default_width: 400});
    window.present();

    const options = new Evp.SubprocessOptions();
    options.set_stdout(Evp.Stdio.PIPE);
    try {
        const process = await loop.subprocess_exec_async(['uname', '-s'], options, null);
        const [output] = await process.communicate_async(null, null);
        label.label = `this is ${new TextDecoder().decode(output.get_data()).trim()}`;
    } catch (error) {
        label.label = error.message;
    }
    print(label.label);
    loop.call_later(0.5, () => window.close());
});
application.run([]);
