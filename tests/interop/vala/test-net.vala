/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connections, servers, TLS, datagrams and files as a Vala programmer uses them: with yield. */

const string HOST = "127.0.0.1";

delegate Evp.AbstractEventLoop MakeLoop () throws Error;

/* A test with a loop to itself. */
abstract class Case {
  protected Evp.AbstractEventLoop loop;
  protected string folder;

  public abstract async void talk () throws Error;

  async void start () {
    try {
      yield talk ();
    } catch (Error error) {
      Test.message ("%s", error.message);
      assert_not_reached ();
    }
    loop.stop ();
  }

  public void run (Evp.AbstractEventLoop loop) throws Error {
    this.loop = loop;
    folder = DirUtils.make_tmp ("evp-XXXXXX");
    Evp.set_event_loop (loop);
    loop.call_soon (() => { start.begin (); });
    loop.run_forever ();
    Evp.set_event_loop (null);
    loop.close ();
    assert (DirUtils.remove (folder) == 0);
  }

  protected static uint16 port_of (Evp.Server server) throws Error {
    return (uint16) ((InetSocketAddress) server.get_sockets ()[0].get_local_address ()).port;
  }

  protected static async string read (IOStream stream) throws Error {
    var bytes = yield stream.input_stream.read_bytes_async (4096);
    return bytes.length > 0 ? ((string) bytes.get_data ()).substring (0, bytes.length) : "";
  }

  protected static async void write (IOStream stream, string text) throws Error {
    yield stream.output_stream.write_bytes_async (new Bytes (text.data));
  }

  /* goes on in the next turn */
  protected void resume (owned SourceFunc callback) {
    try {
      loop.call_soon (() => { callback (); });
    } catch (Error error) {
      assert_not_reached ();
    }
  }

  protected void serve (Evp.Server server) {
    server.incoming.connect (stream => { echo.begin (stream); });
  }

  protected async void converse (Evp.Server server, IOStream client) throws Error {
    yield write (client, "hello");
    assert ((yield read (client)) == "hello");
    yield client.close_async ();
    server.close ();
    assert (yield server.wait_closed_async (null));
    assert (!server.is_serving () && server.get_sockets ().length == 0);
  }

  async void echo (IOStream stream) {
    try {
      yield stream.output_stream.splice_async (stream.input_stream, OutputStreamSpliceFlags.NONE);
      yield stream.close_async ();
    } catch (Error error) {
      Test.message ("%s", error.message);
      assert_not_reached ();
    }
  }
}

/* Rules: N-13, N-17, N-18 */
class Tcp : Case {
  public override async void talk () throws Error {
    var server = yield loop.create_server_async (HOST, 0, 0, null, null);
    var port = port_of (server);
    assert (server.is_serving () && server.get_loop () == loop);
    serve (server);
    yield converse (server, yield loop.create_connection_async (HOST, port, null, null));
    try {
      yield loop.create_connection_async (HOST, port, null, null);
      assert_not_reached ();
    } catch (IOError.CONNECTION_REFUSED error) {
    }
  }
}

/* Rules: N-20 */
class Unix : Case {
  public override async void talk () throws Error {
    var path = Path.build_filename (folder, "socket");
    var server = yield loop.create_unix_server_async (path, 0, null, null);
    serve (server);
    yield converse (server, yield loop.create_unix_connection_async (path, null, null));
    assert (!FileUtils.test (path, FileTest.EXISTS));
  }
}

/* Rules: N-8, N-14, N-17 */
class Accept : Case {
  IOStream? accepted;

  async void accept (Evp.Server server, SourceFunc resume) {
    try {
      accepted = yield server.accept_async (null);
    } catch (Error error) {
      Test.message ("%s", error.message);
    }
    resume ();
  }

  public override async void talk () throws Error {
    var server_options = new Evp.ServerOptions ();
    server_options.set_start_serving (false);
    server_options.set_hosts ({ HOST });
    var server = yield loop.create_server_async (null, 0, 0, server_options, null);
    assert (!server.is_serving ());
    assert (server.start_serving ());

    var options = new Evp.ConnectionOptions () { timeout = 30, family = SocketFamily.IPV4 };
    var client = yield loop.create_connection_async (HOST, port_of (server), options, null);
    accept.begin (server, talk.callback);
    yield;
    assert (accepted is TcpConnection);
    var lines = new DataInputStream (accepted.input_stream);
    yield write (client, "one\ntwo\n");
    assert ((yield lines.read_line_async ()) == "one");
    assert ((yield lines.read_line_async ()) == "two");
    yield client.close_async ();
    yield accepted.close_async ();

    var cancellable = new Cancellable ();
    loop.call_soon (() => { cancellable.cancel (); });
    try {
      yield server.accept_async (cancellable);
      assert_not_reached ();
    } catch (IOError.CANCELLED error) {
    }
    server.close ();
  }
}

/* Rules: N-9, N-11 */
class Tls : Case {
  public override async void talk () throws Error {
    if (!TlsBackend.get_default ().supports_tls () || Environment.find_program_in_path ("openssl") == null) {
      Test.skip ("no TLS, or no openssl to make a certificate with");
      return;
    }
    var path = Path.build_filename (folder, "certificate.pem");
    var process_options = new Evp.SubprocessOptions ();
    process_options.set_stdout (Evp.Stdio.PIPE);
    process_options.set_stderr (Evp.Stdio.PIPE);
    var process = yield loop.subprocess_exec_async ({
      "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
      "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1", "-keyout", "-", "-out", "-"
    }, process_options, null);
    Bytes pem, messages;
    yield process.communicate_async (null, null, out pem, out messages);
    FileUtils.set_data (path, pem.get_data ());

    var ours = new Evp.TlsOptions ();
    ours.set_certificate (new TlsCertificate.from_file (path));
    ours.set_alpn_protocols ({ "evp" });
    var trust = new Evp.TlsOptions ();
    trust.set_database (TlsFileDatabase.@new (path));
    trust.set_alpn_protocols ({ "evp" });
    var server_options = new Evp.ServerOptions ();
    server_options.set_tls_options (ours);
    var options = new Evp.ConnectionOptions ();
    options.set_tls (true);
    options.set_tls_options (trust);
    options.set_server_name ("localhost");
    var server = yield loop.create_server_async (HOST, 0, 0, server_options, null);
    serve (server);
    var client = yield loop.create_connection_async (HOST, port_of (server), options, null);
    assert (client is TlsClientConnection && ((TlsConnection) client).negotiated_protocol == "evp");
    yield converse (server, client);
    FileUtils.unlink (path);

    try {
      yield loop.start_tls_async (client, false, null, "localhost", null);
      assert_not_reached ();
    } catch (Evp.Error.INVALID_ARGUMENT error) {
    }
  }
}

/* Rules: T-12, N-24 */
class Datagrams : Case {
  public override async void talk () throws Error {
    var any_port = new InetSocketAddress.from_string (HOST, 0);
    var server = yield loop.create_datagram_endpoint_async (any_port, null, null, null);
    var client = yield loop.create_datagram_endpoint_async (null, server.get_local_address (), null, null);
    assert (client.send (new Bytes ("hello".data), null));
    SocketAddress sender;
    var data = yield server.receive_async (null, out sender);
    assert (data.compare (new Bytes ("hello".data)) == 0);
    client.datagram_received.connect ((answer, from) => {
      assert (answer.length == 5);
      resume (talk.callback);
    });
    assert (server.send (data, sender));
    yield;
    try {
      client.send (data, any_port);
      assert_not_reached ();
    } catch (Evp.Error.INVALID_ARGUMENT error) {
    }
    client.close ();
    server.close ();

    var found = yield loop.getaddrinfo_async (HOST, "80", SocketFamily.IPV4, null);
    assert (found.length () == 1 && ((InetSocketAddress) found.data).port == 80);
    string service;
    var host = yield loop.getnameinfo_async (found.data, null, out service);
    assert (host != "" && service != "");
  }
}

/* Rules: K-14, N-25 */
class Sendfile : Case {
  public override async void talk () throws Error {
    var path = Path.build_filename (folder, "file");
    FileUtils.set_contents (path, "0123456789");
    var server = yield loop.create_server_async (HOST, 0, 0, null, null);
    var client = yield loop.create_connection_async (HOST, port_of (server), null, null);
    var stream = yield server.accept_async (null);
    assert ((yield loop.sendfile_async (stream, File.new_for_path (path), 2, 5, true, null)) == 5);
    assert ((yield read (client)) == "23456");
    yield client.close_async ();
    yield stream.close_async ();
    server.close ();
    FileUtils.unlink (path);
  }
}

/* Rules: V-5 */
class Files : Case {
  public override async void talk () throws Error {
    var proactor = (Evp.ProactorEventLoop) loop;
    var path = Path.build_filename (folder, "file");
    var file = File.new_for_path (path);
    assert (yield proactor.save_file_async (file, new Bytes ("hello world".data), null));
    assert ((yield proactor.load_file_async (file, null)).compare (new Bytes ("hello world".data)) == 0);
    int fd = Posix.open (path, Posix.O_RDWR);
    assert ((yield proactor.read_async (fd, 5, 6, null)).compare (new Bytes ("world".data)) == 0);
    assert ((yield proactor.write_async (fd, new Bytes ("W".data), 6, null)) == 1);
    var buffer = new uint8[3];
    assert ((yield proactor.read_into_async (fd, buffer, 6, null)) == 3);
    assert (buffer[0] == 'W' && buffer[2] == 'r');
    Posix.close (fd);
    var counting = proactor.get_proactor () as CountingProactor;
    assert (counting == null || counting.submitted >= 3);
    FileUtils.unlink (path);
    try {
      yield proactor.load_file_async (file, null);
      assert_not_reached ();
    } catch (IOError.NOT_FOUND error) {
    }
  }
}

/* Rules: T-11 */
class Registered : Case {
  public override async void talk () throws Error {
    assert (Evp.socket_connection_register ());
    var service = new SocketService ();
    var port = service.add_any_inet_port (null);
    SocketConnection? incoming = null;
    bool waits = false;
    service.incoming.connect ((stream, source) => {
      incoming = stream;
      if (waits)
        resume (talk.callback);
      return true;
    });
    var client = yield new SocketClient ().connect_to_host_async (HOST, port);
    waits = incoming == null;
    if (waits)
      yield;
    assert (client.input_stream.get_type ().name ().has_prefix ("Evp"));
    yield write (client, "hello");
    assert ((yield read (incoming)) == "hello");
    yield client.close_async ();
    yield incoming.close_async ();
    service.stop ();
    service.close ();
    Evp.socket_connection_unregister ();
  }
}

class CountingProactor : Evp.GioProactor {
  public int submitted;

  public override bool submit (Evp.Operation operation) throws Error {
    submitted++;
    return base.submit (operation);
  }
}

void test (string name, owned MakeLoop make, Case program) {
  Test.add_data_func ("/evp/vala/net/" + name, () => {
    try {
      program.run (make ());
    } catch (Error error) {
      Test.message ("%s", error.message);
      assert_not_reached ();
    }
  });
}

int main (string[] args) {
  Test.init (ref args);
  foreach (var kind in new string[] { "selector", "proactor", "gio" }) {
    MakeLoop make = () => {
      if (kind == "selector")
        return new Evp.SelectorEventLoop (null, null);
      if (kind == "proactor")
        return new Evp.ProactorEventLoop (null);
      return (Evp.AbstractEventLoop) Object.new (typeof (Evp.ProactorEventLoop), "proactor", new CountingProactor ());
    };
    test ("tcp-" + kind, () => make (), new Tcp ());
    test ("unix-" + kind, () => make (), new Unix ());
    test ("accept-" + kind, () => make (), new Accept ());
    test ("tls-" + kind, () => make (), new Tls ());
    test ("datagrams-" + kind, () => make (), new Datagrams ());
    test ("sendfile-" + kind, () => make (), new Sendfile ());
    test ("registered-" + kind, () => make (), new Registered ());
    if (kind != "selector")
      test ("files-" + kind, () => make (), new Files ());
  }
  return Test.run ();
}
