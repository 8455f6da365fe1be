/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A policy of one's own, for the whole process: it counts the loops it makes. */

/* the interface is listed again; without it the method below would never be called */
class CountingPolicy : Evp.DefaultEventLoopPolicy, Evp.AbstractEventLoopPolicy {
  public int made;

  public virtual Evp.AbstractEventLoop new_event_loop () throws Error {
    made++;
    return base.new_event_loop ();
  }
}

int main () {
  try {
    var policy = new CountingPolicy ();
    Evp.set_event_loop_policy (policy);

    var loop = Evp.get_event_loop (); /* nobody has set one: the policy makes it */
    print ("the same loop again: %s\n", (loop == Evp.get_event_loop ()).to_string ());
    loop.call_soon (() => loop.stop ());
    loop.run_forever ();
    loop.close ();
    print ("the policy made %d loop\n", policy.made);

    Evp.set_event_loop_policy (null); /* the default policy again */
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  return 0;
}
