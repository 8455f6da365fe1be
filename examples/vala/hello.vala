/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The smallest program: a callback, a timer, and a loop that runs until it is stopped. */

int main () {
  try {
    var loop = Evp.get_event_loop ();
    loop.call_soon (() => print ("hello\n"));
    loop.call_later (0.1, () => {
      print ("and goodbye, 0.1 seconds later\n");
      loop.stop ();
    });
    loop.run_forever ();
    loop.close ();
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  return 0;
}
