#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// A GTK application: children run, their output appears line by line, and the window stays responsive.
//
// The application drives the loop; nobody calls run_forever(). With --quit it starts by itself, and ends
// with the children.

imports.gi.versions.Evp = '1.0';
imports.gi.versions.Gtk = '4.0';
const {Evp, Gio, GLib, GObject, Gtk} = imports.gi;

const N_CHILDREN = 3;
const SCRIPT = 'for step in 1 2 3 4 5; do echo "step $step of 5"; sleep 0.2; done';

Gio._promisify(Gio.DataInputStream.prototype, 'read_line_async', 'read_line_finish_utf8');

const Application = GObject.registerClass(class Application extends Gtk.Application {
    running = 0;
    frames = 0;
    quitAtEnd = false;

    vfunc_activate() {
        // it lives in the default main context, which the application iterates
        this.loop = Evp.get_event_loop();
        this.button = new Gtk.Button({label: `Start ${N_CHILDREN} children`});
        this.button.connect('clicked', () => this.start());
        this.status = new Gtk.Label({label: 'nothing runs', xalign: 0});
        this.text = new Gtk.TextView({editable: false, monospace: true, left_margin: 6, top_margin: 6});
        const header = new Gtk.HeaderBar();
        header.pack_start(this.button);
        const box = new Gtk.Box({orientation: Gtk.Orientation.VERTICAL, spacing: 12,
            margin_top: 12, margin_bottom: 12, margin_start: 12, margin_end: 12});
        box.append(this.status);
        box.append(new Gtk.ScrolledWindow({child: this.text, vexpand: true, has_frame: true}));
        this.window = new Gtk.ApplicationWindow({application: this, title: 'Children', titlebar: header,
            child: box, default_width: 480, default_height: 360});
        this.window.add_tick_callback(() => this.draw());
        this.window.present();
        if (this.quitAtEnd)
            this.start();
    }

    // before each frame: as long as this number grows, the window is alive
    draw() {
        if (this.running > 0) {
            this.frames++;
            this.status.label = `${this.running} running, ${this.frames} frames drawn meanwhile`;
        }
        return GLib.SOURCE_CONTINUE;
    }

    append(line) {
        const {buffer} = this.text;
        buffer.insert(buffer.get_end_iter(), `${line}\n`, -1);
    }

    start() {
        this.button.sensitive = false;
        this.running = N_CHILDREN;
        for (let number = 1; number <= N_CHILDREN; number++)
            this.runChild(number);
    }

    async runChild(number) {
        const options = new Evp.SubprocessOptions({stdout: Evp.Stdio.PIPE});
        try {
            const process = await this.loop.subprocess_shell_async(SCRIPT, options, null);
            const lines = new Gio.DataInputStream({base_stream: process.get_stdout()});
            for (;;) {
                const [line] = await lines.read_line_async(GLib.PRIORITY_DEFAULT, null);
                if (line === null)
                    break;
                this.append(`child ${number}: ${line}`);
            }
            this.append(`child ${number} ended with ${await process.wait_async(null)}`);
        } catch (error) {
            this.append(error.message);
        }
        if (--this.running === 0) {
            this.button.sensitive = true;
            this.status.label = `nothing runs, ${this.frames} frames were drawn`;
            if (this.quitAtEnd) {
                print(this.text.buffer.text.trimEnd());
                this.window.close();
            }
        }
    }
});

if (!Gtk.init_check()) {
    printerr('there is no display');
    imports.system.exit(77);
}
const application = new Application({application_id: 'com.example.Evp', flags: Gio.ApplicationFlags.NON_UNIQUE});
application.quitAtEnd = ARGV.includes('--quit');
application.run([]);
