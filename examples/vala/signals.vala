/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unix signals as ordinary callbacks. */

int main () {
  try {
    var loop = Evp.get_event_loop ();
    loop.add_signal_handler (Posix.Signal.HUP, () => print ("received SIGHUP\n"));
    loop.add_signal_handler (Posix.Signal.TERM, () => {
      print ("received SIGTERM\n");
      loop.stop ();
    });

    /* somebody sends them; here it is the program itself */
    loop.call_soon (() => Posix.kill (Posix.getpid (), Posix.Signal.HUP));
    loop.call_later (0.1, () => Posix.kill (Posix.getpid (), Posix.Signal.TERM));

    loop.run_forever ();
    loop.close ();
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  return 0;
}
