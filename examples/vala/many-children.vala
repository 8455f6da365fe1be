/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many children at once, of which at most a few run at the same time. */

const int N_CHILDREN = 40;
const int AT_ONCE = 8;

class Crowd : Object {
  int next;
  int[] codes = new int[3]; // a field "int codes[3]" would be copied in an async method
  int workers;

  async void work (Evp.AbstractEventLoop loop) throws Error {
    /* all workers take from the same counter */
    while (next < N_CHILDREN) {
      var process = yield loop.subprocess_shell_async ("exit %d".printf (next++ % 3), null, null);
      codes[yield process.wait_async (null)]++;
    }
  }

  public void run (Evp.AbstractEventLoop loop) throws Error {
    for (int i = 0; i < AT_ONCE; i++) {
      workers++;
      loop.call_soon (() => work.begin (loop, (source, result) => {
        try {
          work.end (result);
        } catch (Error error) {
          printerr ("%s\n", error.message);
        }
        if (--workers == 0)
          loop.stop ();
      }));
    }
    loop.run_forever ();
    for (int code = 0; code < 3; code++)
      print ("%d ended with %d\n", codes[code], code);
  }
}

int main () {
  try {
    var loop = Evp.get_event_loop ();
    new Crowd ().run (loop);
    loop.close ();
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  return 0;
}
