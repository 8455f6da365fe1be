/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: work on a worker thread, a loop per thread, and calls from one into the loop of another. */

async void run_program (Evp.AbstractEventLoop loop, Evp.Future end) {
  try {
    // work that takes its time does not block the loop
    var digest = loop.run_in_executor ((future) => {
      try {
        future.set_result (Checksum.compute_for_string (ChecksumType.MD5, "text"));
      } catch (Error error) {
        future.set_error (error);
      }
    });
    yield digest.await_async (null);
    print ("MD5 of \"text\": %s\n", digest.get_result ().get_string ());

    // each thread has a loop of its own, and reports through this one
    Thread<void>[] threads = {};
    Evp.Future[] reports = {};
    for (var i = 1; i <= 2; i++) {
      var number = i;
      var report = loop.create_future ();
      reports += report;
      threads += new Thread<void> (null, () => {
        try {
          var own = Evp.new_event_loop ();
          Evp.set_event_loop (own);
          own.call_later (0.05, () => own.stop ());
          own.run_forever ();
          own.close ();
          Evp.set_event_loop (null);
          loop.call_soon_threadsafe (() => {
            try {
              report.set_result (number);
            } catch (Error error) {
              printerr ("%s\n", error.message);
            }
          });
        } catch (Error error) {
          printerr ("%s\n", error.message);
        }
      });
    }
    foreach (var report in reports) {
      yield report.await_async (null);
      print ("the loop of thread %d has run\n", report.get_result ().get_int ());
    }
    foreach (var thread in threads) {
      thread.join ();
    }
    end.set_result (null);
  } catch (Error error) {
    end.set_error (error);
  }
}

int main () {
  try {
    Evp.run ((loop) => {
      var end = loop.create_future ();
      run_program.begin (loop, end);
      return end;
    });
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  return 0;
}
