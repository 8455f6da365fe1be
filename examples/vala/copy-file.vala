/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file is copied by a proactor: the kernel, or a worker thread, reads and writes while the loop goes on. */

const size_t BLOCK = 64 * 1024;

async int64 copy (Evp.ProactorEventLoop loop, int source, int target) throws Error {
  int64 offset = 0;
  while (true) {
    var block = yield loop.read_async (source, BLOCK, offset, null);
    if (block.length == 0)
      return offset;
    /* after a short write the rest is read once more */
    offset += yield loop.write_async (target, block, offset, null);
  }
}

async void run_copy (Evp.ProactorEventLoop loop, string path) {
  try {
    string copied;
    var source = Posix.open (path, Posix.O_RDONLY);
    var target = FileUtils.open_tmp ("copy-XXXXXX", out copied);
    var n = yield copy (loop, source, target);
    print ("%s bytes copied\n", n.to_string ());
    Posix.close (source);
    Posix.close (target);
    FileUtils.unlink (copied);
  } catch (Error error) {
    printerr ("%s\n", error.message);
  }
  loop.stop ();
}

int main (string[] args) {
  try {
    var loop = new Evp.ProactorEventLoop (null);
    loop.call_soon (() => run_copy.begin (loop, args[args.length - 1]));
    loop.run_forever ();
    loop.close ();
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  return 0;
}
