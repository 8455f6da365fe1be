/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers: once, repeated, and cancelled. */

class Ticker : Object {
  Evp.AbstractEventLoop loop;
  double start;

  public Ticker (Evp.AbstractEventLoop loop) {
    this.loop = loop;
    start = loop.time ();
  }

  public void tick (double when, int left) {
    print ("%.2f s: %d to go\n", loop.time () - start, left);
    if (left == 0) {
      loop.stop ();
      return;
    }
    try {
      /* from the time it was due, not from now: so it does not drift */
      loop.call_at (when + 0.05, () => tick (when + 0.05, left - 1));
    } catch (Error error) {
      printerr ("%s\n", error.message);
      loop.stop ();
    }
  }
}

int main () {
  try {
    var loop = Evp.get_event_loop ();
    var ticker = new Ticker (loop);
    var start = loop.time ();
    loop.call_at (start, () => ticker.tick (start, 4));
    var forgotten = loop.call_later (0.1, () => print ("this is never printed\n"));
    forgotten.cancel ();
    loop.run_forever ();
    loop.close ();
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  return 0;
}
