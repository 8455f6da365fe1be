/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child watcher of one's own, for the whole process: it tells how long each child lived. */

class TimingWatcher : Evp.ThreadedChildWatcher, Evp.AbstractChildWatcher {
  public virtual bool add_handler (Pid pid, Evp.ChildHandler handler) throws Error {
    var start = get_monotonic_time ();

    // our handler goes to the parent in place of the caller's, which it calls
    return base.add_handler (pid, new Evp.ChildHandler (pid, handler.get_loop (), (child, code) => {
      print ("a child ended with %d after %.3f s\n", code, (get_monotonic_time () - start) / 1e6);
      handler.invoke (child, code);
    }));
  }
}

async void run_child (Evp.AbstractEventLoop loop, Evp.Future end) {
  try {
    var process = yield loop.subprocess_shell_async ("exit 3", null, null);
    print ("and its return code is %d\n", yield process.wait_async (null));
    end.set_result (null);
  } catch (Error error) {
    end.set_error (error);
  }
}

int main () {
  try {
    Evp.set_child_watcher (new TimingWatcher ());
    Evp.run ((loop) => {
      var end = loop.create_future ();
      run_child.begin (loop, end);
      return end;
    });
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  return 0;
}
