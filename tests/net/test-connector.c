/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "net/net-loops.h"
#include "net/net-sockets.h"

#include "evp/net/evp-connector-private.h"

#include <gio/gunixsocketaddress.h>

typedef struct
{
  NetFixture *fixture;
  EvpConnector *connector;
  GList *addresses;
  GList *locals;
  GSocket *socket;
  GError *error;
  guint n_calls;
  gboolean done;
  guint fds; /* open when it called back, beside that of `socket` */
} Connect;

static void
connected_cb (GSocket *socket,
              GError  *error,
              gpointer user_data)
{
  Connect *connect = user_data;

  g_assert_true ((socket != NULL) == (error == NULL));
  connect->socket = socket;
  connect->error = error;
  connect->n_calls++;
  connect->done = TRUE;
  connect->fds = evp_test_count_fds () - (socket != NULL ? 1 : 0);
}

static void
connect_init (Connect    *self,
              NetFixture *fixture)
{
  *self = (Connect) { .fixture = fixture };
  self->connector = evp_connector_new (fixture->loop, connected_cb, self);
}

static void
connect_to (Connect    *self,
            const char *host,
            guint16     port)
{
  self->addresses = g_list_append (self->addresses, net_address (host, port));
}

static void
connect_from (Connect    *self,
              const char *host,
              guint16     port)
{
  self->locals = g_list_append (self->locals, net_address (host, port));
}

static void
connect_start (Connect *self,
               double   delay)
{
  evp_connector_set_addresses (self->connector, self->addresses);
  evp_connector_set_local_addresses (self->connector, self->locals);
  evp_connector_set_happy_eyeballs (self->connector, delay, -1);
  evp_connector_start (self->connector);
}

static void
connect_wait (Connect *self)
{
  evp_test_run_until (self->fixture->loop, &self->done);
  evp_test_run_ready (self->fixture->loop);
  g_assert_cmpuint (self->n_calls, ==, 1);
}

static void
connect_clear (Connect *self)
{
  g_clear_object (&self->socket);
  g_clear_error (&self->error);
  g_clear_pointer (&self->connector, evp_connector_unref);
  g_clear_list (&self->addresses, g_object_unref);
  g_clear_list (&self->locals, g_object_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Connect, connect_clear)

static void
never_cb (gpointer user_data)
{
  g_assert_not_reached ();
}

/* How many descriptors are open, when the loop itself has all that it needs. */
static guint
count_fds (NetFixture *fixture)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (fixture->loop);
  g_autoptr (GSocket) nobody = net_bound ("127.0.0.1");
  EvpTimerHandle *timer;
  g_auto (Connect) connect = { 0 };

  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", net_local_port (nobody));
  connect_start (&connect, 0);
  connect_wait (&connect);
  g_clear_object (&nobody);
  /* going to sleep for a timer takes a descriptor, which then stays */
  timer = evp_event_loop_call_later (fixture->loop, 1e6, never_cb, NULL, NULL, NULL);
  for (int i = 0; i < 10; i++)
    g_main_context_iteration (context, FALSE);
  evp_timer_handle_cancel (timer);
  return evp_test_count_fds ();
}

/* Rules: N-3 */
static void
test_first (NetFixture *fixture)
{
  g_autoptr (GSocket) first = net_listener ("127.0.0.1");
  g_autoptr (GSocket) second = net_listener ("127.0.0.1");
  g_autoptr (GSocket) accepted = NULL;
  g_auto (Connect) connect = { 0 };

  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", net_local_port (first));
  connect_to (&connect, "127.0.0.1", net_local_port (second));
  connect_start (&connect, 0);
  connect_wait (&connect);
  g_assert_no_error (connect.error);
  g_assert_true (g_socket_is_connected (connect.socket));
  g_assert_false (g_socket_get_blocking (connect.socket));
  accepted = net_accept_next (first);
  g_assert_null (net_accept (second));
  evp_connector_cancel (connect.connector); /* too late */
}

/* Rules: N-3 */
static void
test_second (NetFixture *fixture)
{
  g_autoptr (GSocket) listener = net_listener ("127.0.0.1");
  g_autoptr (GSocket) nobody = net_bound ("127.0.0.1");
  g_autoptr (GSocket) nobody_either = net_bound ("127.0.0.1");
  g_auto (Connect) connect = { 0 };
  guint fds = count_fds (fixture);

  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", net_local_port (nobody));
  connect_to (&connect, "127.0.0.1", net_local_port (nobody_either));
  connect_to (&connect, "127.0.0.1", net_local_port (listener));
  connect_start (&connect, 0);
  connect_wait (&connect);
  g_assert_no_error (connect.error);
  g_assert_true (g_socket_is_connected (connect.socket));
  /* the sockets of the failed ones are closed */
  g_assert_cmpuint (connect.fds, <=, fds);
}

/* Rules: N-4 */
static void
test_refused (NetFixture *fixture)
{
  g_autoptr (GSocket) nobody = net_bound ("127.0.0.1");
  g_auto (Connect) connect = { 0 };
  g_autofree char *text = NULL;
  guint16 port = net_local_port (nobody);

  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", port);
  connect_start (&connect, 0);
  connect_wait (&connect);
  text = g_strdup_printf ("Cannot connect to 127.0.0.1:%u: Connection refused", port);
  g_assert_error (connect.error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_assert_cmpstr (connect.error->message, ==, text);
}

/* Rules: N-4 */
static void
test_all_refused (NetFixture *fixture)
{
  g_autoptr (GSocket) nobody = net_bound ("127.0.0.1");
  g_auto (Connect) connect = { 0 };
  g_autofree char *text = NULL;
  guint16 port = net_local_port (nobody);

  /* the same text twice is one error; another is listed beside it */
  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", port);
  connect_to (&connect, "127.0.0.1", port);
  connect_start (&connect, 0);
  connect_wait (&connect);
  text = g_strdup_printf ("Cannot connect to 127.0.0.1:%u: Connection refused", port);
  g_assert_cmpstr (connect.error->message, ==, text);
  connect_clear (&connect);

  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", port);
  connect_to (&connect, "127.0.0.2", port);
  connect_start (&connect, 60);
  connect_wait (&connect);
  g_free (text);
  text = g_strdup_printf ("Cannot connect to 127.0.0.1:%u: Connection refused; "
                          "Cannot connect to 127.0.0.2:%u: Connection refused", port, port);
  g_assert_error (connect.error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_assert_cmpstr (connect.error->message, ==, text);
  connect_clear (&connect);

  /* no address at all */
  connect_init (&connect, fixture);
  connect_start (&connect, 0);
  connect_wait (&connect);
  g_assert_error (connect.error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

/* Rules: N-6 */
static void
test_happy (NetFixture *fixture)
{
  g_autoptr (GSocket) listener = net_listener ("127.0.0.1");
  g_auto (NetBlackHole) hole = { 0 };
  g_auto (Connect) connect = { 0 };
  g_autoptr (GSocketAddress) peer = NULL;
  guint fds;

  net_black_hole_init (&hole);
  fds = count_fds (fixture);
  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", hole.port);
  connect_to (&connect, "127.0.0.1", hole.port);
  connect_to (&connect, "127.0.0.1", net_local_port (listener));
  connect_start (&connect, 0.002);
  connect_wait (&connect);
  g_assert_no_error (connect.error);
  peer = g_socket_get_remote_address (connect.socket, NULL);
  g_assert_cmpuint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (peer)), ==, net_local_port (listener));
  /* the others are closed */
  g_assert_cmpuint (connect.fds, <=, fds);
}

static void
block_cb (gpointer user_data)
{
  evp_test_spin (20000);
}

/* A loop that was blocked for longer than the delay sees first that the first attempt has come through. */
/* Rules: N-6 */
static void
test_blocked (NetFixture *fixture)
{
  g_autoptr (GSocket) first = net_listener ("127.0.0.1");
  g_autoptr (GSocket) second = net_listener ("127.0.0.1");
  g_autoptr (GSocket) accepted = NULL;
  g_auto (Connect) connect = { 0 };

  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", net_local_port (first));
  connect_to (&connect, "127.0.0.1", net_local_port (second));
  connect_start (&connect, 0.001);
  evp_event_loop_call_soon (fixture->loop, block_cb, NULL, NULL, NULL);
  connect_wait (&connect);
  g_assert_no_error (connect.error);
  accepted = net_accept_next (first);
  g_assert_null (net_accept (second));
}

/* A failure makes room for the next attempt at once, whatever the delay. */
/* Rules: N-6 */
static void
test_failure_hurries (NetFixture *fixture)
{
  g_autoptr (GSocket) listener = net_listener ("127.0.0.1");
  g_autoptr (GSocket) nobody = net_bound ("127.0.0.1");
  g_auto (Connect) connect = { 0 };

  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", net_local_port (nobody));
  connect_to (&connect, "127.0.0.1", net_local_port (listener));
  connect_start (&connect, 1e6);
  connect_wait (&connect);
  g_assert_no_error (connect.error);
}

/* Without happy eyeballs an attempt that says nothing keeps the others waiting. */
/* Rules: N-3, N-6 */
static void
test_one_at_a_time (NetFixture *fixture)
{
  g_autoptr (GSocket) listener = net_listener ("127.0.0.1");
  g_auto (NetBlackHole) hole = { 0 };
  g_auto (Connect) connect = { 0 };
  guint fds;

  net_black_hole_init (&hole);
  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", hole.port);
  connect_to (&connect, "127.0.0.1", net_local_port (listener));
  evp_test_run_ready (fixture->loop);
  fds = count_fds (fixture);
  connect_start (&connect, 0);
  evp_test_run_ready (fixture->loop);
  g_assert_false (connect.done);
  g_assert_null (net_accept (listener));
  evp_connector_cancel (connect.connector);
  evp_connector_cancel (connect.connector);
  connect_wait (&connect);
  g_assert_error (connect.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_null (net_accept (listener));
  g_assert_cmpuint (connect.fds, <=, fds);
}

/* Rules: N-8 */
static void
test_cancel (NetFixture *fixture)
{
  g_autoptr (GSocket) listener = net_listener ("127.0.0.1");
  g_auto (NetBlackHole) hole = { 0 };
  g_auto (Connect) connect = { 0 };
  guint fds;

  /* several under way, and a timer */
  net_black_hole_init (&hole);
  fds = count_fds (fixture);
  connect_init (&connect, fixture);
  for (int i = 0; i < 3; i++)
    connect_to (&connect, "127.0.0.1", hole.port);
  connect_start (&connect, 1e6);
  evp_test_run_ready (fixture->loop);
  evp_connector_cancel (connect.connector);
  connect_wait (&connect);
  g_assert_error (connect.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (connect.fds, <=, fds);
  connect_clear (&connect);

  /* connected, but not told yet */
  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", net_local_port (listener));
  connect_start (&connect, 0);
  g_assert_false (connect.done);
  evp_connector_cancel (connect.connector);
  connect_wait (&connect);
  g_assert_error (connect.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_null (connect.socket);
  g_assert_cmpuint (connect.fds, <=, fds);
}

/* Rules: N-5 */
static void
test_local (NetFixture *fixture)
{
  g_autoptr (GSocket) listener = net_listener ("127.0.0.1");
  g_autoptr (GSocket) taken = net_bound ("127.0.0.2");
  g_auto (Connect) connect = { 0 };
  g_autoptr (GSocketAddress) local = NULL;
  g_autofree char *text = NULL;

  /* the first that can be had is taken; those of another family are not looked at */
  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", net_local_port (listener));
  connect_from (&connect, "::1", 0);
  connect_from (&connect, "127.0.0.2", net_local_port (taken));
  connect_from (&connect, "127.0.0.3", 0);
  connect_from (&connect, "127.0.0.4", 0);
  connect_start (&connect, 0);
  connect_wait (&connect);
  g_assert_no_error (connect.error);
  local = g_socket_get_local_address (connect.socket, NULL);
  text = g_inet_address_to_string (g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (local)));
  g_assert_cmpstr (text, ==, "127.0.0.3");
  connect_clear (&connect);

  /* none of the family */
  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", net_local_port (listener));
  connect_from (&connect, "::1", 0);
  connect_start (&connect, 0);
  connect_wait (&connect);
  g_assert_error (connect.error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (connect.error->message, "127.0.0.1"));
  connect_clear (&connect);

  /* none can be had */
  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", net_local_port (listener));
  connect_from (&connect, "127.0.0.1", net_local_port (listener));
  connect_from (&connect, "127.0.0.2", net_local_port (taken));
  connect_start (&connect, 0);
  connect_wait (&connect);
  g_assert_error (connect.error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  g_assert_nonnull (strstr (connect.error->message, "127.0.0.1"));
  g_assert_nonnull (strstr (connect.error->message, "127.0.0.2"));
}

/* Rules: N-7 */
static void
test_families (NetFixture *fixture)
{
  g_autoptr (GSocket) listener = NULL;
  g_autoptr (GSocket) nobody = NULL;
  g_auto (Connect) connect = { 0 };
  g_autoptr (GSocketAddress) peer = NULL;

  if (!net_have_ipv6 ())
    {
      g_test_skip ("no IPv6 here");
      return;
    }
  /* the other family has its turn before the second address of the first */
  listener = net_listener ("::1");
  nobody = net_bound ("127.0.0.1");
  connect_init (&connect, fixture);
  connect_to (&connect, "127.0.0.1", net_local_port (nobody));
  connect_to (&connect, "127.0.0.1", net_local_port (listener));
  connect_to (&connect, "::1", net_local_port (listener));
  connect_start (&connect, 1e6);
  connect_wait (&connect);
  g_assert_no_error (connect.error);
  g_assert_cmpint (g_socket_get_family (connect.socket), ==, G_SOCKET_FAMILY_IPV6);
}

/* Closing the loop ends what is under way. */
static void
test_close (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();

  {
    g_auto (NetBlackHole) hole = { 0 };
    NetFixture fixture = { .loop = evp_selector_event_loop_new (NULL, NULL, NULL) };
    Connect connect;

    net_black_hole_init (&hole);
    connect_init (&connect, &fixture);
    connect_to (&connect, "127.0.0.1", hole.port);
    connect_to (&connect, "127.0.0.1", hole.port);
    connect_start (&connect, 1e6);
    g_assert_true (evp_event_loop_close (fixture.loop, NULL));
    g_assert_cmpuint (connect.n_calls, ==, 1);
    g_assert_error (connect.error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
    connect_clear (&connect);

    /* and nothing begins on a closed one */
    connect_init (&connect, &fixture);
    connect_to (&connect, "127.0.0.1", hole.port);
    connect_start (&connect, 0);
    g_assert_cmpuint (connect.n_calls, ==, 1);
    g_assert_error (connect.error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
    connect_clear (&connect);
    g_assert_finalize_object (fixture.loop);
  }
  evp_test_leaks_check (&leaks);
}

static char *
interleaved (const char *families,
             guint       first_count)
{
  g_autoptr (GPtrArray) addresses = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GPtrArray) result = NULL;
  GString *text = g_string_new (NULL);

  for (guint i = 0; families[i] != '\0'; i++)
    g_ptr_array_add (addresses, net_address (families[i] == '6' ? "::1" : "127.0.0.1", (guint16) (i + 1)));
  result = evp_connector_interleave (addresses, first_count);
  g_assert_cmpuint (result->len, ==, addresses->len);
  for (guint i = 0; i < result->len; i++)
    {
      GSocketAddress *address = g_ptr_array_index (result, i);

      g_string_append_printf (text, "%s%u ", g_socket_address_get_family (address) == G_SOCKET_FAMILY_IPV6 ? "6:" : "4:",
                              g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)));
    }
  return g_string_free (text, FALSE);
}

/* Rules: N-7 */
static void
test_interleave (void)
{
  static const struct
  {
    const char *families;
    guint first_count;
    const char *expected;
  } cases[] = {
    { "", 1, "" },
    { "4", 3, "4:1 " },
    { "666", 2, "6:1 6:2 6:3 " },
    { "66644", 1, "6:1 4:4 6:2 4:5 6:3 " },
    { "66644", 2, "6:1 6:2 4:4 6:3 4:5 " },
    { "66644", 9, "6:1 6:2 6:3 4:4 4:5 " },
    { "46664", 1, "4:1 6:2 4:5 6:3 6:4 " },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *result = interleaved (cases[i].families, cases[i].first_count);

      g_assert_cmpstr (result, ==, cases[i].expected);
    }
}

/* Rules: N-4 */
static void
test_merge_errors (void)
{
  g_autoptr (GPtrArray) errors = g_ptr_array_new_with_free_func ((GDestroyNotify) g_error_free);
  GError *error;

  g_ptr_array_add (errors, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NETWORK_UNREACHABLE, "one"));
  error = evp_connector_merge_errors (errors);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NETWORK_UNREACHABLE);
  g_assert_cmpstr (error->message, ==, "one");
  g_clear_error (&error);

  g_ptr_array_add (errors, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NETWORK_UNREACHABLE, "one"));
  error = evp_connector_merge_errors (errors);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NETWORK_UNREACHABLE);
  g_assert_cmpstr (error->message, ==, "one");
  g_clear_error (&error);

  g_ptr_array_add (errors, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "two"));
  error = evp_connector_merge_errors (errors);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_assert_cmpstr (error->message, ==, "one; one; two");
  g_clear_error (&error);
}

/* A unix server whose queue is full does not keep the others from being tried, and loses to one that answers. */
/* Rules: N-6, N-8 */
static void
test_full_queue (NetFixture *fixture)
{
  g_autofree char *uuid = g_uuid_string_random ();
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new_with_type (uuid, -1, G_UNIX_SOCKET_ADDRESS_ABSTRACT);
  g_autoptr (GSocket) full = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_autoptr (GSocket) filler = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_autoptr (GSocket) listener = net_listener ("127.0.0.1");
  g_auto (Connect) connect = { 0 };
  guint fds = count_fds (fixture);

  g_socket_set_listen_backlog (full, 0);
  g_assert_true (g_socket_bind (full, address, FALSE, NULL) && g_socket_listen (full, NULL));
  g_assert_true (g_socket_connect (filler, address, NULL, NULL));
  connect_init (&connect, fixture);
  connect.addresses = g_list_append (NULL, g_object_ref (address));
  connect_to (&connect, "127.0.0.1", net_local_port (listener));
  connect_start (&connect, 0.005);
  connect_wait (&connect);
  g_assert_no_error (connect.error);
  g_assert_cmpint (g_socket_get_family (connect.socket), ==, G_SOCKET_FAMILY_IPV4);
  g_assert_cmpuint (connect.fds, <=, fds);
}

/* A loop whose connections are made two at a time. */
typedef struct
{
  EvpSelectorEventLoop parent_instance;

  EvpOperation *held;
  int first_fd;
} PairLoop;

typedef EvpSelectorEventLoopClass PairLoopClass;

static GType pair_loop_get_type (void);

static gboolean
pair_loop_submit_operation (EvpAbstractEventLoop *loop,
                            EvpOperation         *operation,
                            GError              **error)
{
  PairLoop *self = (PairLoop *) loop;
  EvpOperation *first = g_steal_pointer (&self->held);

  if (first == NULL)
    {
      self->held = evp_operation_ref (operation);
      self->first_fd = evp_operation_get_fd (operation);
      return TRUE;
    }
  evp_operation_complete (first, 0);
  evp_operation_complete (operation, 0);
  evp_operation_unref (first);
  return TRUE;
}

static void
pair_loop_cancel_operation (EvpAbstractEventLoop *loop,
                            EvpOperation         *operation)
{
}

static void
pair_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
  iface->submit_operation = pair_loop_submit_operation;
  iface->cancel_operation = pair_loop_cancel_operation;
}

G_DEFINE_TYPE_WITH_CODE (PairLoop, pair_loop, EVP_TYPE_SELECTOR_EVENT_LOOP,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, pair_loop_iface_init))

static void
pair_loop_class_init (PairLoopClass *klass)
{
}

static void
pair_loop_init (PairLoop *self)
{
}

/* Two attempts succeed in the same turn: the first has won, and the other is closed. */
/* Rules: N-6 */
static void
test_two_winners (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "two attempts that succeed");
  NetFixture fixture = { .loop = g_object_new (pair_loop_get_type (), NULL) };
  guint fds;

  {
    g_auto (Connect) connect = { 0 };

    connect_init (&connect, &fixture);
    for (int i = 0; i < 2; i++)
      connect.addresses = g_list_append (connect.addresses, g_unix_socket_address_new ("/nowhere"));
    evp_test_run_ready (fixture.loop);
    fds = evp_test_count_fds ();
    connect_start (&connect, 1e-9);
    connect_wait (&connect);
    g_assert_no_error (connect.error);
    g_assert_cmpint (g_socket_get_fd (connect.socket), ==, ((PairLoop *) fixture.loop)->first_fd);
    g_assert_cmpuint (connect.fds, ==, fds);
  }
  g_assert_true (evp_event_loop_close (fixture.loop, NULL));
  g_assert_finalize_object (fixture.loop);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/net/connector/interleave", test_interleave);
  g_test_add_func ("/evp/net/connector/merge-errors", test_merge_errors);
  g_test_add_func ("/evp/net/connector/close", test_close);
  g_test_add_func ("/evp/net/connector/two-winners", test_two_winners);
  net_test_add ("connector", "first", test_first);
  net_test_add ("connector", "second", test_second);
  net_test_add ("connector", "refused", test_refused);
  net_test_add ("connector", "all-refused", test_all_refused);
  net_test_add ("connector", "happy", test_happy);
  net_test_add ("connector", "blocked", test_blocked);
  net_test_add ("connector", "failure-hurries", test_failure_hurries);
  net_test_add ("connector", "one-at-a-time", test_one_at_a_time);
  net_test_add ("connector", "cancel", test_cancel);
  net_test_add ("connector", "full-queue", test_full_queue);
  net_test_add ("connector", "local", test_local);
  net_test_add ("connector", "families", test_families);

  return g_test_run ();
}
