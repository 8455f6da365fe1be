/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child process: its input, its output, and how it ended. */

async void run_children (Evp.AbstractEventLoop loop) {
  try {
    var options = new Evp.SubprocessOptions ();
    options.set_stdin (Evp.Stdio.PIPE);
    options.set_stdout (Evp.Stdio.PIPE);
    var process = yield loop.subprocess_exec_async ({ "tr", "a-z", "A-Z" }, options, null);
    Bytes output, errors;
    yield process.communicate_async (new Bytes ("hello from a child".data), null, out output, out errors);
    print ("%.*s (return code %d)\n", output.length, (string) output.get_data (), process.get_returncode ());

    try {
      yield loop.subprocess_exec_async ({ "/does/not/exist" }, null, null);
    } catch (IOError.NOT_FOUND error) {
      print ("as it should: %s\n", error.message);
    }
  } catch (Error error) {
    printerr ("%s\n", error.message);
  }
  loop.stop ();
}

int main () {
  Intl.setlocale (); // messages in the language of who reads them
  try {
    var loop = Evp.get_event_loop ();
    loop.call_soon (() => run_children.begin (loop));
    loop.run_forever ();
    loop.close ();
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  return 0;
}
