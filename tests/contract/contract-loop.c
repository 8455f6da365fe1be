/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-loop-fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static void
report_cb (EvpAbstractEventLoop *loop,
           EvpExceptionContext  *context,
           gpointer              user_data)
{
  Fixture *fixture = user_data;

  g_assert_true (loop == fixture->loop);
  g_ptr_array_add (fixture->reports, evp_exception_context_ref (context));
}

static void
set_up (Fixture      *fixture,
        gconstpointer data)
{
  const ContractEntry *entry = ((gconstpointer *) data)[0];
  const ContractLoop *kind = ((gconstpointer *) data)[1];
  g_autoptr (GError) error = NULL;

  fixture->leaks = evp_test_leaks_begin ();
  fixture->deadline = evp_test_deadline_start (30, entry->name);
  fixture->kind = kind;
  fixture->log = g_string_new (NULL);
  fixture->reports = g_ptr_array_new_with_free_func ((GDestroyNotify) evp_exception_context_unref);
  fixture->n_warnings = evp_warn_runtime_get_count ();
  if (kind->adopted)
    {
      fixture->context = g_main_context_ref (g_main_context_default ());
      fixture->main_loop = g_main_loop_new (fixture->context, FALSE);
    }
  fixture->loop = kind->make (fixture->context, &error);
  g_assert_no_error (error);
  g_assert_nonnull (fixture->loop);
  if (!kind->adopted)
    fixture->context = evp_event_loop_dup_main_context (fixture->loop);
  evp_event_loop_set_exception_handler (fixture->loop, report_cb, fixture, NULL);
  /* where everything is slow, a callback is no news */
  if (evp_test_is_slow () && EVP_IS_BASE_EVENT_LOOP (fixture->loop))
    evp_base_event_loop_set_slow_callback_duration (EVP_BASE_EVENT_LOOP (fixture->loop), 5.0);
}

static void
tear_down (Fixture      *fixture,
           gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  if (fixture->loop != NULL)
    {
      g_assert_true (evp_event_loop_close (fixture->loop, &error));
      g_assert_no_error (error);
      g_assert_finalize_object (fixture->loop);
    }
  if (fixture->kind->adopted)
    {
      /* nothing of the loop stays in the context */
      while (g_main_context_iteration (fixture->context, FALSE))
        ;
      g_assert_false (g_main_context_pending (fixture->context));
      g_main_loop_unref (fixture->main_loop);
    }
  if (fixture->context != NULL)
    {
      g_main_context_set_poll_func (fixture->context, NULL);
      g_main_context_unref (fixture->context);
    }
  g_assert_null (evp_running_loop_get ());
  g_string_free (fixture->log, TRUE);
  g_ptr_array_unref (fixture->reports);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, fixture->n_warnings + fixture->n_expected_warnings);
  evp_test_deadline_stop (fixture->deadline);
  evp_test_leaks_check (&fixture->leaks);
}

static void
run_case (Fixture      *fixture,
          gconstpointer data)
{
  const ContractEntry *entry = ((gconstpointer *) data)[0];

  entry->run (fixture);
}

/* What the cases point to, for as long as the program runs. */
static gpointer
keep (gpointer data)
{
  static GPtrArray *kept = NULL;

  if (kept == NULL)
    kept = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (kept, data);
  return data;
}

static void
add_cases (const ContractEntry *entries,
           const ContractLoop  *kind)
{
  for (const ContractEntry *entry = entries; entry->name != NULL; entry++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/loop/%s/contract/%s/%s", kind->name,
                                               kind->adopted ? "adopted" : "run", entry->name);
      gconstpointer *data;

      if ((entry->where & (kind->adopted ? IN_ADOPTED : IN_RUN)) == 0
          || ((entry->where & NEEDS_FDS) != 0 && (kind->flags & CONTRACT_LOOP_FDS) == 0)
          || ((entry->where & NEEDS_SIGNALS) != 0 && (kind->flags & CONTRACT_LOOP_SIGNALS) == 0)
          || ((entry->where & NEEDS_SOCKETS) != 0 && (kind->flags & CONTRACT_LOOP_SOCKETS) == 0))
        continue;
      data = keep (g_new (gconstpointer, 2));
      data[0] = entry;
      data[1] = kind;
      g_test_add (path, Fixture, data, set_up, run_case, tear_down);
    }
}

void
contract_loop_add (const char       *name,
                   ContractLoopNew   make,
                   ContractLoopFlags flags)
{
  for (int adopted = 0; adopted < ((flags & CONTRACT_LOOP_ADOPTABLE) != 0 ? 2 : 1); adopted++)
    {
      ContractLoop *kind = keep (g_new (ContractLoop, 1));

      *kind = (ContractLoop) { g_intern_string (name), make, flags, adopted != 0 };
      add_cases (contract_loop_life_cases, kind);
      add_cases (contract_loop_schedule_cases, kind);
      add_cases (contract_loop_fd_cases, kind);
      add_cases (contract_loop_signal_cases, kind);
      add_cases (contract_loop_socket_cases, kind);
      add_cases (contract_loop_context_cases, kind);
    }
}

void
drive (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  fixture->finished = FALSE;
  if (fixture->kind->adopted)
    {
      g_main_loop_run (fixture->main_loop);
    }
  else
    {
      g_assert_true (evp_event_loop_run_forever (fixture->loop, &error));
      g_assert_no_error (error);
    }
  g_assert_true (fixture->finished);
}

void
finish (Fixture *fixture)
{
  fixture->finished = TRUE;
  if (fixture->kind->adopted)
    g_main_loop_quit (fixture->main_loop);
  else
    evp_event_loop_stop (fixture->loop);
}

void
finish_cb (gpointer user_data)
{
  finish (user_data);
}

/*
 * What is ready runs once, also where the machine is so slow that a loop would leave the rest to its next turn,
 * or stands back for one turn of the context.
 */
static void
turn_adopted (Fixture *fixture)
{
  gboolean has_budget = EVP_IS_BASE_EVENT_LOOP (fixture->loop);
  gsize length = fixture->log->len;
  double budget;

  if (has_budget)
    {
      g_object_get (fixture->loop, "turn-budget", &budget, NULL);
      g_object_set (fixture->loop, "turn-budget", 0.0, NULL);
    }
  for (int i = 0; i < 3 && fixture->log->len == length; i++)
    g_main_context_iteration (fixture->context, FALSE);
  if (has_budget)
    g_object_set (fixture->loop, "turn-budget", budget, NULL);
}

void
turn (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  if (fixture->kind->adopted)
    {
      turn_adopted (fixture);
      return;
    }
  evp_event_loop_stop (fixture->loop);
  g_assert_true (evp_event_loop_run_forever (fixture->loop, &error));
  g_assert_no_error (error);
}

Note *
note (Fixture    *fixture,
      const char *text)
{
  Note *self = g_new0 (Note, 1);

  self->fixture = fixture;
  self->text = text;
  self->fd = -1;
  return self;
}

void
note_cb (gpointer user_data)
{
  Note *self = user_data;

  g_string_append (self->fixture->log, self->text);
  if (self->handle != NULL)
    evp_handle_cancel (self->handle);
  if (self->timer != NULL)
    evp_timer_handle_cancel (self->timer);
  if (self->then != NULL)
    self->then (self->fixture);
}

void
note_fd_cb (int      fd,
            gpointer user_data)
{
  Note *self = user_data;

  if (self->fd >= 0)
    g_assert_cmpint (fd, ==, self->fd);
  note_cb (self);
}

void
note_free (gpointer data)
{
  Note *self = data;

  g_string_append_c (self->fixture->log, '~');
  g_free (self);
}

EvpHandle *
soon (Fixture    *fixture,
      const char *text)
{
  return soon_then (fixture, text, NULL);
}

EvpHandle *
soon_then (Fixture    *fixture,
           const char *text,
           EvpCallback then)
{
  g_autoptr (GError) error = NULL;
  Note *self = note (fixture, text);
  EvpHandle *handle;

  self->then = then;
  handle = evp_event_loop_call_soon (fixture->loop, note_cb, self, g_free, &error);
  g_assert_no_error (error);
  g_assert_nonnull (handle);
  return handle;
}

EvpTimerHandle *
later (Fixture    *fixture,
       double      delay,
       const char *text)
{
  g_autoptr (GError) error = NULL;
  EvpTimerHandle *handle = evp_event_loop_call_later (fixture->loop, delay, note_cb, note (fixture, text),
                                                      g_free, &error);

  g_assert_no_error (error);
  g_assert_nonnull (handle);
  return handle;
}

EvpHandle *
call (Fixture    *fixture,
      EvpCallback callback,
      gpointer    user_data)
{
  g_autoptr (GError) error = NULL;
  EvpHandle *handle = evp_event_loop_call_soon (fixture->loop, callback, user_data, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (handle);
  return handle;
}

EvpTimerHandle *
call_later (Fixture    *fixture,
            double      delay,
            EvpCallback callback,
            gpointer    user_data)
{
  g_autoptr (GError) error = NULL;
  EvpTimerHandle *handle = evp_event_loop_call_later (fixture->loop, delay, callback, user_data, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (handle);
  return handle;
}

void
reader (Fixture       *fixture,
        int            fd,
        EvpFdCallback  callback,
        gpointer       user_data,
        GDestroyNotify destroy)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_event_loop_add_reader (fixture->loop, fd, callback, user_data, destroy, &error));
  g_assert_no_error (error);
}

void
writer (Fixture       *fixture,
        int            fd,
        EvpFdCallback  callback,
        gpointer       user_data,
        GDestroyNotify destroy)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_event_loop_add_writer (fixture->loop, fd, callback, user_data, destroy, &error));
  g_assert_no_error (error);
}

void
clear_log (Fixture *fixture)
{
  g_string_truncate (fixture->log, 0);
}

void
make_pipe (int fds[2])
{
  g_assert_cmpint (pipe2 (fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
}

void
make_pair (int fds[2])
{
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
}

void
put (int fd)
{
  g_assert_cmpint (write (fd, "x", 1), ==, 1);
}

void
get (int fd)
{
  char byte;

  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
}

void
close_both (int fds[2])
{
  g_assert_cmpint (close (fds[0]), ==, 0);
  g_assert_cmpint (close (fds[1]), ==, 0);
}

static guint polls; /* of the context under test; only its thread polls it */

static int
counting_poll (GPollFD *fds,
               guint    n_fds,
               int      timeout)
{
  polls++;
  return g_poll (fds, n_fds, timeout);
}

void
count_polls (Fixture *fixture)
{
  polls = 0;
  g_main_context_set_poll_func (fixture->context, counting_poll);
}

guint
n_polls (Fixture *fixture)
{
  guint n = polls;

  polls = 0;
  return n;
}
