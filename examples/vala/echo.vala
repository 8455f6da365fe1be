/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections: a server that sends back what it gets, and clients, over TCP, a unix socket, and TLS. */

const int CLIENTS = 5;

class Program {
  Evp.AbstractEventLoop loop;
  string folder;
  Evp.ConnectionOptions? options; /* set: connections are encrypted */
  public bool failed;

  public Program (Evp.AbstractEventLoop loop) throws Error {
    this.loop = loop;
    folder = DirUtils.make_tmp ("echo-XXXXXX");
  }

  /* sends back what comes, until the other end has no more to say */
  async void echo (IOStream stream) {
    try {
      yield stream.output_stream.splice_async (stream.input_stream, OutputStreamSpliceFlags.NONE);
      yield stream.close_async ();
    } catch (Error error) {
      printerr ("%s\n", error.message);
      failed = true;
    }
  }

  async IOStream connect (string? path, uint16 port) throws Error {
    if (path != null)
      return yield loop.create_unix_connection_async (path, null, null);
    return yield loop.create_connection_async ("127.0.0.1", port, options, null);
  }

  /* says something, and checks what comes back */
  async void ask (string? path, uint16 port, int number) {
    try {
      var stream = yield connect (path, port);
      var lines = new DataInputStream (stream.input_stream);
      foreach (var word in new string[] { "hello", "goodbye" }) {
        var text = @"$word from client $number";
        yield stream.output_stream.write_bytes_async (new Bytes ((text + "\n").data));
        if ((yield lines.read_line_async ()) != text)
          throw new IOError.INVALID_DATA ("something else came back for “%s”", text);
      }
      yield stream.close_async ();
    } catch (Error error) {
      printerr ("%s\n", error.message);
      failed = true;
    }
  }

  /* clients at once, and a server until they have gone */
  async void run_with (string name, Evp.Server server, string? path) throws Error {
    uint16 port = 0;
    int left = CLIENTS;

    if (path == null)
      port = (uint16) ((InetSocketAddress) server.get_sockets ()[0].get_local_address ()).port;
    server.incoming.connect (stream => echo.begin (stream));
    for (int number = 0; number < CLIENTS; number++) {
      ask.begin (path, port, number, () => {
        if (--left == 0)
          run_with.callback ();
      });
    }
    yield;
    server.close ();
    yield server.wait_closed_async (null);
    if (!failed)
      print ("%s: %d clients got back what they said\n", name, CLIENTS);
  }

  /* a certificate for localhost, and its key; false if there is no openssl */
  async bool make_certificate (string path) throws Error {
    var options = new Evp.SubprocessOptions ();
    Evp.Subprocess process;
    Bytes pem, messages;

    options.set_stdout (Evp.Stdio.PIPE);
    options.set_stderr (Evp.Stdio.PIPE);
    try {
      process = yield loop.subprocess_exec_async ({
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1",
        "-keyout", "-", "-out", "-" }, options, null);
    } catch (IOError.NOT_FOUND error) {
      print ("no TLS: %s\n", error.message);
      return false;
    }
    yield process.communicate_async (null, null, out pem, out messages);
    FileUtils.set_data (path, pem.get_data ());
    return true;
  }

  public async void run () {
    var path = Path.build_filename (folder, "socket");
    var certificate = Path.build_filename (folder, "certificate.pem");

    try {
      yield run_with ("TCP", yield loop.create_server_async ("127.0.0.1", 0, 0, null, null), null);
      yield run_with ("unix socket", yield loop.create_unix_server_async (path, 0, null, null), path);
      if (TlsBackend.get_default ().supports_tls () && yield make_certificate (certificate)) {
        var identity = new Evp.TlsOptions () { certificate = new TlsCertificate.from_file (certificate) };
        var trust = new Evp.TlsOptions () { database = TlsFileDatabase.@new (certificate) };
        var server_options = new Evp.ServerOptions () { tls_options = identity };
        options = new Evp.ConnectionOptions () { tls = true, tls_options = trust, server_name = "localhost" };
        yield run_with ("TLS", yield loop.create_server_async ("127.0.0.1", 0, 0, server_options, null), null);
      }
    } catch (Error error) {
      printerr ("%s\n", error.message);
      failed = true;
    }
    FileUtils.unlink (certificate);
    DirUtils.remove (folder);
    loop.stop ();
  }
}

int main () {
  try {
    var loop = Evp.get_event_loop ();
    var program = new Program (loop);
    loop.call_soon (() => program.run.begin ());
    loop.run_forever ();
    loop.close ();
    return program.failed ? 1 : 0;
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
}
