/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Policies, loops, selectors and watchers written in Vala, and asynchronous methods with yield. */

class FromScratch : Object, Evp.AbstractEventLoopPolicy {
  public Evp.AbstractEventLoop? loop;

  public virtual Evp.AbstractEventLoop get_event_loop () throws Error {
    if (loop == null)
      throw new Evp.Error.NO_EVENT_LOOP ("no loop here");
    return loop;
  }

  public virtual bool set_event_loop (Evp.AbstractEventLoop? loop) throws Error {
    this.loop = loop;
    return true;
  }

  public virtual Evp.AbstractEventLoop new_event_loop () throws Error {
    return new Evp.SelectorEventLoop (null, null);
  }

  public virtual Evp.AbstractChildWatcher get_child_watcher () throws Error {
    throw new Evp.Error.NOT_SUPPORTED ("no watcher here");
  }

  public virtual bool set_child_watcher (Evp.AbstractChildWatcher? watcher) throws Error {
    throw new Evp.Error.NOT_SUPPORTED ("no watcher here");
  }
}

class Counting : Evp.DefaultEventLoopPolicy, Evp.AbstractEventLoopPolicy {
  public string calls = "";

  public virtual Evp.AbstractEventLoop get_event_loop () throws Error {
    calls += "g1 ";
    return base.get_event_loop ();
  }

  public virtual Evp.AbstractEventLoop new_event_loop () throws Error {
    calls += "n1 ";
    return base.new_event_loop ();
  }
}

class Counting2 : Counting, Evp.AbstractEventLoopPolicy {
  public override Evp.AbstractEventLoop get_event_loop () throws Error {
    calls += "g2 ";
    return base.get_event_loop ();
  }
}

class CountingLoop : Evp.SelectorEventLoop, Evp.AbstractEventLoop {
  public int stops;

  public virtual void stop () {
    stops++;
    base.stop ();
  }
}

class CountingSelector : Evp.PollSelector {
  public int selects;

  public override GenericArray<Evp.SelectorKey> select (double timeout) throws Error {
    selects++;
    return base.select (timeout);
  }
}

class CountingWatcher : Evp.ThreadedChildWatcher, Evp.AbstractChildWatcher {
  public int added;

  public virtual bool add_handler (Pid pid, Evp.ChildHandler handler) throws Error {
    assert (handler.get_pid () == pid);
    added++;
    return base.add_handler (pid, handler);
  }
}

/* a loop that keeps callbacks, and leaves out everything else */
class KeepingLoop : Object, Evp.AbstractEventLoop {
  public GenericArray<Evp.Handle> kept = new GenericArray<Evp.Handle> ();

  public virtual bool schedule (Evp.Handle handle) throws Error {
    kept.add (handle);
    return true;
  }
}

/* a watcher that is told what has ended */
class ToldWatcher : Object, Evp.AbstractChildWatcher {
  public Evp.ChildHandler? handler;

  public virtual bool add_handler (Pid pid, Evp.ChildHandler handler) throws Error {
    this.handler = handler;
    return true;
  }
}

/* a policy that makes no loops but one */
class OneLoopPolicy : Object, Evp.AbstractEventLoopPolicy {
  public Evp.AbstractEventLoop loop = new KeepingLoop ();

  public virtual Evp.AbstractEventLoop get_event_loop () throws Error {
    return loop;
  }
}

/* counts how many there are */
class Counted : Object {
  public static int alive;

  public Counted () {
    alive++;
  }

  ~Counted () {
    alive--;
  }

  public void use () {
  }
}

/* Rules: P-7, P-41, W-1, C-1 */
void test_slots_left_out () {
  try {
    var policy = new OneLoopPolicy ();
    var keeping = policy.loop as KeepingLoop;
    var watcher = new ToldWatcher ();
    int ran = 0;

    Evp.set_event_loop_policy (policy);
    assert (Evp.get_event_loop () == policy.loop);
    try {
      Evp.new_event_loop ();
      assert_not_reached ();
    } catch (Evp.Error.NOT_SUPPORTED error) {
    }

    policy.loop.call_soon (() => { ran++; });
    keeping.kept[0].run ();
    keeping.kept[0].run ();
    assert (ran == 1);
    assert (!policy.loop.is_closed () && !policy.loop.is_running () && !policy.loop.remove_reader (0));
    if (true) {
      var counted = new Counted ();
      try {
        policy.loop.call_later (1, () => counted.use ());
        assert_not_reached ();
      } catch (Evp.Error.NOT_SUPPORTED error) {
      }
      try {
        policy.loop.add_reader (0, fd => counted.use ());
        assert_not_reached ();
      } catch (Evp.Error.NOT_SUPPORTED error) {
      }
    }
    assert (Counted.alive == 0);

    Evp.AbstractEventLoop loop = new Evp.SelectorEventLoop (null, null);
    watcher.add_handler (1234, new Evp.ChildHandler (1234, loop, (pid, returncode) => {
      assert (pid == 1234 && returncode == 7);
      loop.stop ();
    }));
    watcher.handler.invoke (1234, 7);
    loop.run_forever ();
    Evp.AbstractChildWatcher told = watcher;
    assert (!told.remove_child_handler (1234));
    try {
      told.attach_loop (loop);
      assert_not_reached ();
    } catch (Evp.Error.NOT_SUPPORTED error) {
    }
    loop.close ();
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
  Evp.set_event_loop_policy (null);
}

/* Rules: P-7, P-9, P-35, P-41 */
void test_from_scratch () {
  try {
    var policy = new FromScratch ();
    Evp.set_event_loop_policy (policy);
    assert (Evp.get_event_loop_policy () == policy);
    try {
      Evp.get_event_loop ();
      assert_not_reached ();
    } catch (Evp.Error.NO_EVENT_LOOP error) {
      assert (error.message == "no loop here");
    }
    var loop = Evp.new_event_loop ();
    Evp.set_event_loop (loop);
    assert (Evp.get_event_loop () == loop);
    try {
      Evp.get_child_watcher ();
      assert_not_reached ();
    } catch (Evp.Error.NOT_SUPPORTED error) {
    }
    loop.close ();
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
  Evp.set_event_loop_policy (null);
}

/* Rules: P-14, P-28, P-36, P-37 */
void test_chain_up () {
  try {
    var policy = new Counting2 ();
    Evp.set_event_loop_policy (policy);
    var loop = Evp.get_event_loop ();
    assert (policy.calls == "g2 g1 n1 ");
    assert (Evp.get_event_loop () == loop);
    loop.close ();

    /* the parents are what they were */
    var parent = new Counting ();
    ((Evp.AbstractEventLoopPolicy) parent).get_event_loop ().close ();
    assert (parent.calls == "g1 n1 ");
    Evp.AbstractEventLoopPolicy plain = new Evp.DefaultEventLoopPolicy ();
    plain.get_event_loop ().close ();
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
  Evp.set_event_loop_policy (null);
}

/* Rules: C-1, C-5, C-11, L-2 */
void test_loop () {
  try {
    var loop = new CountingLoop ();
    Evp.AbstractEventLoop running = loop;
    string seen = "";

    running.call_soon (() => { seen += "soon "; });
    var cancelled = running.call_soon (() => { seen += "never "; });
    cancelled.cancel ();
    assert (cancelled.cancelled ());
    running.call_later (0.001, () => { seen += "later "; running.stop (); });
    running.call_soon_threadsafe (() => {
      try {
        assert (Evp.get_running_loop () == running);
      } catch (Error error) {
        assert_not_reached ();
      }
    });
    running.run_forever ();
    assert (seen == "soon later ");
    assert (loop.stops == 1);
    running.close ();
    try {
      running.call_soon (() => {});
      assert_not_reached ();
    } catch (Evp.Error.LOOP_CLOSED error) {
    }
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
}

/* Rules: U-2, U-3, U-4, U-5 */
void test_future () {
  try {
    Evp.AbstractEventLoop loop = new Evp.SelectorEventLoop (null, null);
    var future = loop.create_future ();
    bool called = false;

    future.add_done_callback (done => { called = done.done (); });
    try {
      future.get_result ();
      assert_not_reached ();
    } catch (Evp.Error.INVALID_STATE error) {
    }
    loop.call_soon (() => {
      try {
        Value answer = 42;
        future.set_result (answer);
      } catch (Error error) {
        assert_not_reached ();
      }
    });
    assert (loop.run_until_complete (future));
    assert (future.get_result ().get_int () == 42);
    assert (called);

    var failed = loop.create_future ();
    failed.set_error (new IOError.NOT_FOUND ("mine"));
    try {
      loop.run_until_complete (failed);
      assert_not_reached ();
    } catch (IOError.NOT_FOUND error) {
      assert (error.message == "mine");
    }
    var cancelled = loop.create_future ();
    assert (cancelled.cancel () && cancelled.cancelled ());
    loop.close ();
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
}

async void await_future (Evp.AbstractEventLoop loop, Evp.Future future) {
  try {
    assert ((yield future.await_async (null)).get_string () == "awaited");
  } catch (Error error) {
    assert_not_reached ();
  }
  loop.stop ();
}

/* Rules: U-5 */
void test_await () {
  try {
    Evp.AbstractEventLoop loop = new Evp.SelectorEventLoop (null, null);
    var future = loop.create_future ();

    loop.call_soon (() => { await_future.begin (loop, future); });
    loop.call_later (0.001, () => {
      try {
        Value text = "awaited";
        future.set_result (text);
      } catch (Error error) {
        assert_not_reached ();
      }
    });
    loop.run_forever ();
    loop.close ();
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
}

/* Rules: S-2, S-7 */
void test_selector () {
  try {
    var selector = new CountingSelector ();
    int ends[2];
    assert (Posix.pipe (ends) == 0);
    Value data = "attached";
    var key = selector.register (ends[0], Evp.IOEvents.READ, data);
    assert (key.get_fd () == ends[0] && key.get_data ().get_string () == "attached");
    assert (selector.select (0).length == 0);
    assert (Posix.write (ends[1], "x", 1) == 1);
    assert (selector.select (-1)[0] == key);
    assert (selector.selects == 2);
    selector.unregister (ends[0]);

    Evp.AbstractEventLoop loop = new Evp.SelectorEventLoop (selector, null);
    bool readable = false;
    loop.add_reader (ends[0], fd => { readable = fd == ends[0]; loop.stop (); });
    loop.run_forever ();
    assert (readable && selector.selects > 2);
    loop.close ();
    Posix.close (ends[0]);
    Posix.close (ends[1]);
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
}

async void run_children (Evp.AbstractEventLoop loop, CountingWatcher watcher) {
  try {
    var options = new Evp.SubprocessOptions ();
    options.set_stdin (Evp.Stdio.PIPE);
    options.set_stdout (Evp.Stdio.PIPE);
    var process = yield loop.subprocess_exec_async ({ "cat" }, options, null);
    Bytes output, errors;
    yield process.communicate_async (new Bytes ("hello".data), null, out output, out errors);
    assert (output.compare (new Bytes ("hello".data)) == 0);
    assert (process.get_returncode () == 0);

    process = yield loop.subprocess_shell_async ("exit 7", null, null);
    assert ((yield process.wait_async (null)) == 7);
    assert (watcher.added == 2);

    try {
      yield loop.subprocess_exec_async ({ "/does/not/exist" }, null, null);
      assert_not_reached ();
    } catch (IOError.NOT_FOUND error) {
    }
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
  loop.stop ();
}

/* Rules: Q-5, Q-6, Q-13, Q-22, W-2, P-30 */
void test_children () {
  try {
    var watcher = new CountingWatcher ();
    Evp.AbstractEventLoop loop = new Evp.SelectorEventLoop (null, null);
    Evp.set_child_watcher (watcher);
    loop.call_soon (() => { run_children.begin (loop, watcher); });
    loop.run_forever ();
    Evp.set_child_watcher (null);
    loop.close ();
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
}

async void talk (Evp.AbstractEventLoop loop) {
  try {
    var listener = new Socket (SocketFamily.IPV4, SocketType.STREAM, SocketProtocol.DEFAULT);
    var client = new Socket (SocketFamily.IPV4, SocketType.STREAM, SocketProtocol.DEFAULT);
    listener.bind (new InetSocketAddress.from_string ("127.0.0.1", 0), true);
    listener.listen ();
    listener.set_blocking (false);
    client.set_blocking (false);
    assert (yield loop.sock_connect_async (client, listener.get_local_address (), null));
    var server = yield loop.sock_accept_async (listener, null);
    assert (yield loop.sock_sendall_async (client, new Bytes ("hello".data), null));
    var bytes = yield loop.sock_recv_async (server, 2, null);
    assert (bytes.compare (new Bytes ("he".data)) == 0);
    var buffer = new uint8[8];
    assert ((yield loop.sock_recv_into_async (server, buffer, null)) == 3);
    assert (buffer[0] == 'l' && buffer[2] == 'o');
    client.close ();
    assert ((yield loop.sock_recv_async (server, 64, null)).length == 0);
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
  loop.stop ();
}

/* Rules: K-7, K-9, K-11, K-12 */
void test_sockets () {
  try {
    Evp.AbstractEventLoop loop = new Evp.SelectorEventLoop (null, null);
    loop.call_soon (() => { talk.begin (loop); });
    loop.run_forever ();
    loop.close ();
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
}

/* Rules: W-2, W-6 */
void test_watcher () {
  try {
    Evp.AbstractEventLoop loop = new Evp.SelectorEventLoop (null, null);
    Evp.AbstractChildWatcher watcher = new Evp.ThreadedChildWatcher ();
    Pid pid;
    int code = -1;
    watcher.attach_loop (loop);
    watcher.enter ();
    Process.spawn_async (null, { "sh", "-c", "exit 3" }, null,
                         SpawnFlags.SEARCH_PATH | SpawnFlags.DO_NOT_REAP_CHILD, null, out pid);
    watcher.add_child_handler (pid, (ended, returncode) => {
      assert (ended == pid);
      code = returncode;
      loop.stop ();
    });
    watcher.exit ();
    loop.run_forever ();
    assert (code == 3);
    watcher.close ();
    loop.close ();
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
}

/* Rules: L-19 */
void test_run () {
  try {
    assert (Evp.run (loop => {
      var future = loop.create_future ();
      try {
        loop.call_later (0.001, () => {
          try {
            future.set_result (null);
          } catch (Error error) {
            assert_not_reached ();
          }
        });
      } catch (Error error) {
        assert_not_reached ();
      }
      return future;
    }));
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
}

/* Rules: D-1 */
void test_statistics () {
  try {
    var loop = new Evp.SelectorEventLoop (null, null);
    var timer = loop.call_later (3600, () => {});
    loop.set_debug (true);
    timer.set_name ("late");
    loop.call_soon (() => loop.stop ());
    loop.run_forever ();
    Evp.LoopStatistics statistics = loop.get_statistics ();
    assert (statistics.get_turns () >= 1);
    assert (statistics.get_callbacks () == 1);
    assert (statistics.get_timers () == 1);
    assert (statistics.get_fds () == 0);
    assert (statistics.get_wakeups () <= statistics.get_turns ());
    assert (statistics.get_longest_callback () > 0);
    assert (statistics.get_time_asleep () >= 0);
    timer.cancel ();
    assert (loop.get_statistics ().get_timers () == 0);
    assert (statistics.get_timers () == 1);
    loop.close ();
  } catch (Error error) {
    Test.message (error.message);
    assert_not_reached ();
  }
}

int main (string[] args) {
  Test.init (ref args);
  Test.add_func ("/evp/vala/from-scratch", test_from_scratch);
  Test.add_func ("/evp/vala/slots-left-out", test_slots_left_out);
  Test.add_func ("/evp/vala/chain-up", test_chain_up);
  Test.add_func ("/evp/vala/loop", test_loop);
  Test.add_func ("/evp/vala/future", test_future);
  Test.add_func ("/evp/vala/await", test_await);
  Test.add_func ("/evp/vala/selector", test_selector);
  Test.add_func ("/evp/vala/watcher", test_watcher);
  Test.add_func ("/evp/vala/children", test_children);
  Test.add_func ("/evp/vala/sockets", test_sockets);
  Test.add_func ("/evp/vala/run", test_run);
  Test.add_func ("/evp/vala/statistics", test_statistics);
  return Test.run ();
}
