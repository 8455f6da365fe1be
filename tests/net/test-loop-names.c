/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "net/net-loops.h"

#include <net/if.h>
#include <netdb.h>

/* A resolver that knows a few names, and remembers who asked. */
typedef struct
{
  GResolver parent_instance;

  GThread *asked_in;
  guint n_asked;
  GMutex lock;
  GCond changed;
  gboolean waits; /* until the cancellable is cancelled */
  gboolean waiting;
} FakeResolver;

typedef GResolverClass FakeResolverClass;

GType fake_resolver_get_type (void);

G_DEFINE_TYPE (FakeResolver, fake_resolver, g_resolver_get_type ())

static void
fake_resolver_asked (FakeResolver *self,
                     GCancellable *cancellable)
{
  g_mutex_lock (&self->lock);
  self->n_asked++;
  self->asked_in = g_thread_self ();
  self->waiting = self->waits;
  g_cond_broadcast (&self->changed);
  while (self->waits && !g_cancellable_is_cancelled (cancellable))
    g_cond_wait_until (&self->changed, &self->lock, g_get_monotonic_time () + G_TIME_SPAN_MILLISECOND);
  g_mutex_unlock (&self->lock);
}

static GList *
fake_resolver_lookup_by_name (GResolver    *resolver,
                              const char   *hostname,
                              GCancellable *cancellable,
                              GError      **error)
{
  const char *addresses[] = { "192.0.2.9", "2001:db8::1", "192.0.2.1", NULL };
  GList *list = NULL;

  fake_resolver_asked ((FakeResolver *) resolver, cancellable);
  if (g_cancellable_set_error_if_cancelled (cancellable, error) || g_str_equal (hostname, "nothing.example"))
    return NULL;
  if (!g_str_equal (hostname, "three.example"))
    {
      g_set_error_literal (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "unknown here");
      return NULL;
    }
  for (guint i = 0; addresses[i] != NULL; i++)
    list = g_list_append (list, g_inet_address_new_from_string (addresses[i]));
  return list;
}

static char *
fake_resolver_lookup_by_address (GResolver    *resolver,
                                 GInetAddress *address,
                                 GCancellable *cancellable,
                                 GError      **error)
{
  g_autofree char *text = g_inet_address_to_string (address);

  fake_resolver_asked ((FakeResolver *) resolver, cancellable);
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  if (g_str_equal (text, "192.0.2.1"))
    return g_strdup ("one.example");
  if (g_str_equal (text, "192.0.2.2"))
    g_set_error_literal (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_TEMPORARY_FAILURE, "try again");
  else
    g_set_error_literal (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "no name");
  return NULL;
}

static void
fake_resolver_finalize (GObject *object)
{
  FakeResolver *self = (FakeResolver *) object;

  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  G_OBJECT_CLASS (fake_resolver_parent_class)->finalize (object);
}

static void
fake_resolver_class_init (FakeResolverClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = fake_resolver_finalize;
  klass->lookup_by_name = fake_resolver_lookup_by_name;
  klass->lookup_by_address = fake_resolver_lookup_by_address;
}

static void
fake_resolver_init (FakeResolver *self)
{
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
}

static FakeResolver *resolver; /* the default one of this program; tests read what has happened since they began */

static char *
addresses_to_string (GList *addresses)
{
  GString *text = g_string_new (NULL);

  for (; addresses != NULL; addresses = addresses->next)
    {
      g_autofree char *one = g_socket_connectable_to_string (addresses->data);

      g_string_append_printf (text, "%s%s", text->len > 0 ? " " : "", one);
    }
  return g_string_free (text, FALSE);
}

static char *
look_up (NetFixture   *fixture,
         const char   *host,
         const char   *service,
         GSocketFamily family,
         GError      **error)
{
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_autolist (GSocketAddress) addresses = NULL;

  evp_event_loop_getaddrinfo_async (fixture->loop, host, service, family, NULL, evp_test_ready_cb, &await);
  addresses = evp_event_loop_getaddrinfo_finish (fixture->loop, evp_test_await (&await), error);
  return addresses == NULL ? NULL : addresses_to_string (addresses);
}

static void
assert_found (NetFixture   *fixture,
              const char   *host,
              const char   *service,
              GSocketFamily family,
              const char   *expected)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *found = look_up (fixture, host, service, family, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (found, ==, expected);
}

#define assert_not_found(fixture, host, service, family, domain, code) G_STMT_START { \
    g_autoptr (GError) not_found_error = NULL; \
    g_assert_null (look_up (fixture, host, service, family, &not_found_error)); \
    g_assert_error (not_found_error, domain, code); \
  } G_STMT_END

/* Rules: N-2 */
static void
test_numeric (NetFixture *fixture)
{
  guint n_asked = resolver->n_asked;

  /* nothing is needed for them, not even a worker */
  net_shut_down_executor (fixture);
  assert_found (fixture, "192.0.2.7", "80", G_SOCKET_FAMILY_INVALID, "192.0.2.7:80");
  assert_found (fixture, "192.0.2.7", NULL, G_SOCKET_FAMILY_IPV4, "192.0.2.7");
  assert_found (fixture, "2001:db8::7", "65535", G_SOCKET_FAMILY_INVALID, "[2001:db8::7]:65535");
  assert_found (fixture, "2001:db8::7", "", G_SOCKET_FAMILY_IPV6, "2001:db8::7");
  assert_not_found (fixture, "192.0.2.7", "80", G_SOCKET_FAMILY_IPV6, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND);
  assert_not_found (fixture, "192.0.2.7", "65536", G_SOCKET_FAMILY_INVALID, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (resolver->n_asked, ==, n_asked);
}

/* Rules: N-2 */
static void
test_scope (NetFixture *fixture)
{
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_autolist (GSocketAddress) addresses = NULL;
  g_autoptr (GError) error = NULL;

  evp_event_loop_getaddrinfo_async (fixture->loop, "fe80::1%lo", "9", G_SOCKET_FAMILY_INVALID, NULL,
                                    evp_test_ready_cb, &await);
  addresses = evp_event_loop_getaddrinfo_finish (fixture->loop, evp_test_await (&await), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_list_length (addresses), ==, 1);
  g_assert_cmpuint (g_inet_socket_address_get_scope_id (addresses->data), ==, if_nametoindex ("lo"));
  g_assert_cmpuint (g_inet_socket_address_get_port (addresses->data), ==, 9);
}

/* Rules: N-24, N-2, E-7 */
static void
test_name (NetFixture *fixture)
{
  resolver->asked_in = NULL;
  assert_found (fixture, "three.example", "80", G_SOCKET_FAMILY_INVALID,
                "192.0.2.9:80 [2001:db8::1]:80 192.0.2.1:80");
  g_assert_nonnull (resolver->asked_in);
  g_assert_true (resolver->asked_in != g_thread_self ());
  assert_found (fixture, "three.example", "80", G_SOCKET_FAMILY_IPV4, "192.0.2.9:80 192.0.2.1:80");
  assert_found (fixture, "three.example", "80", G_SOCKET_FAMILY_IPV6, "[2001:db8::1]:80");
  assert_not_found (fixture, "four.example", "80", G_SOCKET_FAMILY_INVALID,
                    G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND);
  /* an answer without addresses is none */
  assert_not_found (fixture, "nothing.example", "80", G_SOCKET_FAMILY_INVALID,
                    G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND);
}

/* Rules: N-2, N-24 */
static void
test_service (NetFixture *fixture)
{
  struct servent *http = getservbyname ("http", "tcp");
  g_autofree char *expected = g_strdup_printf ("192.0.2.7:%d", http != NULL ? (int) g_ntohs ((guint16) http->s_port) : 0);

  if (http != NULL)
    assert_found (fixture, "192.0.2.7", "http", G_SOCKET_FAMILY_INVALID, expected);
  else
    assert_not_found (fixture, "192.0.2.7", "http", G_SOCKET_FAMILY_INVALID,
                      G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND);
  assert_not_found (fixture, "192.0.2.7", "no-such-service", G_SOCKET_FAMILY_INVALID,
                    G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND);
}

/* Rules: N-24 */
static void
test_loopback (NetFixture *fixture)
{
  assert_found (fixture, NULL, "80", G_SOCKET_FAMILY_IPV4, "127.0.0.1:80");
  assert_found (fixture, "", "80", G_SOCKET_FAMILY_IPV6, "[::1]:80");
}

/* Rules: E-7, E-5 */
static void
test_executor (NetFixture *fixture)
{
  guint n_asked = resolver->n_asked;
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string ("192.0.2.1", 80);
  g_autoptr (GError) error = NULL;

  net_shut_down_executor (fixture);
  assert_not_found (fixture, "three.example", "80", G_SOCKET_FAMILY_INVALID, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  evp_event_loop_getnameinfo_async (fixture->loop, address, NULL, evp_test_ready_cb, &await);
  g_assert_null (evp_event_loop_getnameinfo_finish (fixture->loop, evp_test_await (&await), NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_assert_cmpuint (resolver->n_asked, ==, n_asked);
}

static gpointer
cancel_thread (gpointer cancellable)
{
  g_mutex_lock (&resolver->lock);
  while (!resolver->waiting)
    g_cond_wait (&resolver->changed, &resolver->lock);
  g_mutex_unlock (&resolver->lock);
  g_cancellable_cancel (cancellable);
  return NULL;
}

/* Rules: N-24 */
static void
test_cancel (NetFixture *fixture)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_auto (EvpTestAwait) late = { fixture->loop, NULL };
  g_autoptr (GError) error = NULL;
  GThread *thread;

  resolver->waits = TRUE;
  resolver->waiting = FALSE;
  evp_event_loop_getaddrinfo_async (fixture->loop, "three.example", "80", G_SOCKET_FAMILY_INVALID, cancellable,
                                    evp_test_ready_cb, &await);
  thread = g_thread_new ("cancel", cancel_thread, cancellable);
  g_assert_null (evp_event_loop_getaddrinfo_finish (fixture->loop, evp_test_await (&await), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_thread_join (thread);

  /* before it began */
  evp_event_loop_getaddrinfo_async (fixture->loop, "192.0.2.7", "80", G_SOCKET_FAMILY_INVALID, cancellable,
                                    evp_test_ready_cb, &late);
  g_assert_null (evp_event_loop_getaddrinfo_finish (fixture->loop, evp_test_await (&late), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  net_shut_down_executor (fixture);
  resolver->waits = FALSE;
}

static void
name_of (NetFixture *fixture,
         const char *host,
         guint       port,
         const char *expected_host,
         const char *expected_service)
{
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string (host, port);
  g_autoptr (GError) error = NULL;
  g_autofree char *name = NULL;
  g_autofree char *service = NULL;

  evp_event_loop_getnameinfo_async (fixture->loop, address, NULL, evp_test_ready_cb, &await);
  name = evp_event_loop_getnameinfo_finish (fixture->loop, evp_test_await (&await), &service, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (name, ==, expected_host);
  g_assert_cmpstr (service, ==, expected_service);
}

/* Rules: N-24, E-7 */
static void
test_nameinfo (NetFixture *fixture)
{
  g_auto (EvpTestAwait) failing = { fixture->loop, NULL };
  g_auto (EvpTestAwait) unix_await = { fixture->loop, NULL };
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string ("192.0.2.2", 80);
  g_autofree char *scoped = g_strdup_printf ("fe80::1%%%u", if_nametoindex ("lo"));
  g_autoptr (GSocketAddress) unix_address = g_unix_socket_address_new ("/nowhere");
  g_autoptr (GError) error = NULL;

  name_of (fixture, "192.0.2.1", 80, "one.example", getservbyport (g_htons (80), "tcp") != NULL ? "http" : "80");
  g_assert_true (resolver->asked_in != g_thread_self ());
  name_of (fixture, "192.0.2.3", 1, "192.0.2.3", getservbyport (g_htons (1), "tcp") != NULL ? "tcpmux" : "1");
  name_of (fixture, "2001:db8::1", 47809, "2001:db8::1", "47809");
  name_of (fixture, "fe80::1%lo", 47809, scoped, "47809");

  evp_event_loop_getnameinfo_async (fixture->loop, address, NULL, evp_test_ready_cb, &failing);
  g_assert_null (evp_event_loop_getnameinfo_finish (fixture->loop, evp_test_await (&failing), NULL, &error));
  g_assert_error (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_TEMPORARY_FAILURE);
  g_clear_error (&error);

  evp_event_loop_getnameinfo_async (fixture->loop, unix_address, NULL, evp_test_ready_cb, &unix_await);
  g_assert_null (evp_event_loop_getnameinfo_finish (fixture->loop, evp_test_await (&unix_await), NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
}

/* Rules: N-24 */
static void
test_debug (NetFixture *fixture)
{
  evp_event_loop_set_debug (fixture->loop, TRUE);
  g_test_expect_message ("Evp", G_LOG_LEVEL_DEBUG, "Looking up three.example took * ms");
  assert_found (fixture, "three.example", "80", G_SOCKET_FAMILY_IPV6, "[2001:db8::1]:80");
  g_test_assert_expected_messages ();
  evp_event_loop_set_debug (fixture->loop, FALSE);
}

static void
note_closed_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  GError **error = user_data;

  g_assert_null (evp_event_loop_getaddrinfo_finish (EVP_EVENT_LOOP (source), result, error));
}

/* On a loop that is closed, and on one that closes meanwhile. */
static void
test_closed (void)
{
  g_autoptr (EvpAbstractEventLoop) loop = evp_selector_event_loop_new (NULL, NULL, NULL);
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a closed loop");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  resolver->waits = TRUE;
  resolver->waiting = FALSE;
  evp_event_loop_getaddrinfo_async (loop, "three.example", "80", G_SOCKET_FAMILY_INVALID, cancellable,
                                    note_closed_cb, &error);
  g_mutex_lock (&resolver->lock);
  while (!resolver->waiting)
    g_cond_wait (&resolver->changed, &resolver->lock);
  g_mutex_unlock (&resolver->lock);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_cancellable_cancel (cancellable);
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  resolver->waits = FALSE;

  evp_event_loop_getaddrinfo_async (loop, "three.example", "80", G_SOCKET_FAMILY_INVALID, NULL,
                                    note_closed_cb, &error);
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  resolver = g_object_new (fake_resolver_get_type (), NULL);
  g_resolver_set_default (G_RESOLVER (resolver));

  net_test_add ("loop-names", "numeric", test_numeric);
  net_test_add ("loop-names", "scope", test_scope);
  net_test_add ("loop-names", "name", test_name);
  net_test_add ("loop-names", "service", test_service);
  net_test_add ("loop-names", "loopback", test_loopback);
  net_test_add ("loop-names", "executor", test_executor);
  net_test_add ("loop-names", "cancel", test_cancel);
  net_test_add ("loop-names", "nameinfo", test_nameinfo);
  net_test_add ("loop-names", "debug", test_debug);
  g_test_add_func ("/evp/net/loop-names/closed", test_closed);

  return g_test_run ();
}
