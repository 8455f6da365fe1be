/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-loop-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static void
never_fd_cb (int      fd,
             gpointer user_data)
{
  g_assert_not_reached ();
}

static void
add_reader (Fixture    *fixture,
            int         fd,
            const char *text)
{
  reader (fixture, fd, note_fd_cb, note (fixture, text), note_free);
}

static void
add_writer (Fixture    *fixture,
            int         fd,
            const char *text)
{
  writer (fixture, fd, note_fd_cb, note (fixture, text), note_free);
}

static void
assert_no_reader (Fixture *fixture,
                  int      fd)
{
  g_assert_false (evp_event_loop_remove_reader (fixture->loop, fd));
  g_assert_false (evp_event_loop_remove_writer (fixture->loop, fd));
}

/* Runs for a while, and returns how often the context went to poll: a loop that sleeps does so rarely. */
static guint
polls_of_quiet_run (Fixture *fixture)
{
  count_polls (fixture);
  call_later (fixture, 0.05, finish_cb, fixture);
  drive (fixture);
  return n_polls (fixture);
}

/* Rules: F-1, F-4, I-5 */
static void
case_reader (Fixture *fixture)
{
  int fds[2];
  Note *data = note (fixture, "r");

  make_pipe (fds);
  data->fd = fds[0];
  reader (fixture, fds[0], note_fd_cb, data, note_free);
  turn (fixture);
  assert_log (fixture, "");

  put (fds[1]);
  if (!fixture->kind->adopted)
    {
      /* level-triggered and persistent: once per iteration while there is something to read */
      for (int i = 0; i < 3; i++)
        turn (fixture);
      assert_log (fixture, "rrr");
    }
  else
    {
      turn (fixture);
      g_assert_cmpuint (fixture->log->len, >=, 1);
    }
  get (fds[0]);
  clear_log (fixture);
  turn (fixture);
  assert_log (fixture, "");

  put (fds[1]);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  assert_log (fixture, "~");
  g_assert_false (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  turn (fixture);
  assert_log (fixture, "~");
  close_both (fds);
}

static void
slow_reader_cb (int      fd,
                gpointer user_data)
{
  evp_test_spin (1000);
  note_fd_cb (fd, user_data);
}

/* Rules: F-1, I-5, L-4 */
static void
case_slow_reader (Fixture *fixture)
{
  int fds[2];
  Note *data = note (fixture, "r");

  make_pipe (fds);
  data->fd = fds[0];
  /* there is time to look at the descriptors once more before the loop stops */
  if (EVP_IS_BASE_EVENT_LOOP (fixture->loop))
    g_object_set (fixture->loop, "turn-budget", 1.0, NULL);
  reader (fixture, fds[0], slow_reader_cb, data, note_free);
  put (fds[1]);
  turn (fixture);
  assert_log (fixture, "r");

  /* nothing of that turn is left for the next */
  get (fds[0]);
  clear_log (fixture);
  turn (fixture);
  assert_log (fixture, "");
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  close_both (fds);
}

static void
read_and_finish_cb (int      fd,
                    gpointer user_data)
{
  get (fd);
  finish (user_data);
}

static gpointer
put_thread (gpointer data)
{
  put (GPOINTER_TO_INT (data));
  return NULL;
}

/* Rules: F-1, I-1 */
static void
case_reader_wakes (Fixture *fixture)
{
  int fds[2];
  GThread *thread;

  make_pipe (fds);
  reader (fixture, fds[0], read_and_finish_cb, fixture, NULL);
  thread = g_thread_new ("put", put_thread, GINT_TO_POINTER (fds[1]));
  drive (fixture);
  g_thread_join (thread);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  close_both (fds);
}

/* Rules: F-2, Z-23 */
static void
case_replace (Fixture *fixture)
{
  int fds[2];

  make_pipe (fds);
  put (fds[1]);
  add_reader (fixture, fds[0], "old");
  add_reader (fixture, fds[0], "n");
  assert_log (fixture, "~"); /* released at once */
  clear_log (fixture);
  turn (fixture);
  g_assert_cmpint (fixture->log->str[0], ==, 'n');
  g_assert_null (strchr (fixture->log->str, 'o'));
  clear_log (fixture);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  assert_log (fixture, "~");
  g_assert_false (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  close_both (fds);
}

typedef struct
{
  Fixture *fixture;
  int other;
  enum { REMOVE, REPLACE, CLOSE } what;
  gboolean done;
} Meddler;

static void
meddle_cb (int      fd,
           gpointer user_data)
{
  Meddler *meddler = user_data;

  g_string_append_c (meddler->fixture->log, 'm');
  if (meddler->done)
    return;
  meddler->done = TRUE;
  if (meddler->what == REPLACE)
    add_reader (meddler->fixture, meddler->other, "n");
  else
    g_assert_true (evp_event_loop_remove_reader (meddler->fixture->loop, meddler->other));
  if (meddler->what == CLOSE)
    close (meddler->other);
}

/* Rules: F-2, F-17, I-4, Z-23 */
static void
case_meddling (Fixture *fixture)
{
  /* both are ready in one iteration, and queued; whichever runs first changes the other */
  for (int what = REMOVE; what <= CLOSE; what++)
    {
      int a[2], b[2];
      Meddler first = { fixture, -1, what, FALSE }, second = { fixture, -1, what, FALSE };

      make_pipe (a);
      make_pipe (b);
      put (a[1]);
      put (b[1]);
      first.other = b[0];
      second.other = a[0];
      clear_log (fixture);
      reader (fixture, a[0], meddle_cb, &first, NULL);
      reader (fixture, b[0], meddle_cb, &second, NULL);
      if (fixture->kind->adopted)
        {
          call_later (fixture, 0.005, finish_cb, fixture);
          drive (fixture);
        }
      else
        turn (fixture);
      g_assert_true (first.done != second.done);
      if (!fixture->kind->adopted)
        assert_log (fixture, "m");
      if (what == REPLACE)
        {
          turn (fixture);
          g_assert_nonnull (strchr (fixture->log->str, 'n'));
        }
      evp_event_loop_remove_reader (fixture->loop, a[0]);
      evp_event_loop_remove_reader (fixture->loop, b[0]);
      if (what != CLOSE || !second.done)
        close (a[0]);
      if (what != CLOSE || !first.done)
        close (b[0]);
      close (a[1]);
      close (b[1]);
    }
}

/* Rules: F-3, F-4, I-2 */
static void
case_both_directions (Fixture *fixture)
{
  int fds[2];

  make_pair (fds);
  put (fds[1]);
  add_writer (fixture, fds[0], "w");
  add_reader (fixture, fds[0], "r");
  turn (fixture);
  g_assert_true (g_str_has_prefix (fixture->log->str, "rw"));
  if (!fixture->kind->adopted)
    assert_log (fixture, "rw");

  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  g_assert_false (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  clear_log (fixture);
  turn (fixture);
  turn (fixture);
  g_assert_null (strchr (fixture->log->str, 'r'));
  g_assert_nonnull (strchr (fixture->log->str, 'w'));

  add_reader (fixture, fds[0], "r");
  g_assert_true (evp_event_loop_remove_writer (fixture->loop, fds[0]));
  clear_log (fixture);
  turn (fixture);
  turn (fixture);
  g_assert_null (strchr (fixture->log->str, 'w'));
  g_assert_nonnull (strchr (fixture->log->str, 'r'));
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  assert_no_reader (fixture, fds[0]);

  /* a direction that nobody wants any more keeps nobody awake */
  add_reader (fixture, fds[0], "r");
  add_writer (fixture, fds[0], "w");
  get (fds[0]);
  g_assert_true (evp_event_loop_remove_writer (fixture->loop, fds[0]));
  clear_log (fixture);
  g_assert_cmpuint (polls_of_quiet_run (fixture), <=, 8);
  assert_log (fixture, "");
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  close_both (fds);
}

static void
drain_then_stop_cb (int      fd,
                    gpointer user_data)
{
  Fixture *fixture = user_data;

  g_string_append_c (fixture->log, 'r');
  get (fd);
  finish (fixture);
}

/* Rules: I-1, I-2 */
static void
case_batch_order (Fixture *fixture)
{
  int fds[2];

  make_pair (fds);
  put (fds[1]);
  later (fixture, -1, "t");
  add_writer (fixture, fds[0], "w");
  reader (fixture, fds[0], drain_then_stop_cb, fixture, NULL);
  soon (fixture, "a");
  turn (fixture);
  /* what was called soon, then I/O, reader first, then timers */
  g_assert_true (g_str_has_prefix (fixture->log->str, "arwt"));
  if (!fixture->kind->adopted)
    assert_log (fixture, "arwt");
  evp_event_loop_remove_reader (fixture->loop, fds[0]);
  evp_event_loop_remove_writer (fixture->loop, fds[0]);
  close_both (fds);
}

static void
stop_and_read_cb (int      fd,
                  gpointer user_data)
{
  Fixture *fixture = user_data;

  get (fd);
  g_string_append_c (fixture->log, 'r');
  finish (fixture);
}

/* Rules: I-5, L-5 */
static void
case_stop_with_events (Fixture *fixture)
{
  int a[2], b[2];

  make_pipe (a);
  make_pipe (b);
  put (a[1]);
  put (b[1]);
  reader (fixture, a[0], stop_and_read_cb, fixture, NULL);
  reader (fixture, b[0], stop_and_read_cb, fixture, NULL);
  drive (fixture);
  /* somebody else's main loop may end between two turns of a slow machine */
  if (!fixture->kind->adopted)
    assert_log (fixture, "rr");
  turn (fixture);
  turn (fixture);
  assert_log (fixture, "rr");
  evp_event_loop_remove_reader (fixture->loop, a[0]);
  evp_event_loop_remove_reader (fixture->loop, b[0]);
  close_both (a);
  close_both (b);
}

typedef struct
{
  Fixture *fixture;
  gboolean running;
  enum { LEAVE, CHANGE } what;
} Itself;

static void
itself_free (gpointer data)
{
  Itself *itself = data;

  g_assert_false (itself->running); /* not under its own feet */
  g_string_append_c (itself->fixture->log, '~');
  g_free (itself);
}

static void
itself_cb (int      fd,
           gpointer user_data)
{
  Itself *itself = user_data;

  itself->running = TRUE;
  g_string_append_c (itself->fixture->log, 'i');
  if (itself->what == LEAVE)
    g_assert_true (evp_event_loop_remove_reader (itself->fixture->loop, fd));
  else
    add_reader (itself->fixture, fd, "n");
  itself->running = FALSE;
}

/* Rules: C-13, F-2, F-4, Z-8 */
static void
case_removes_itself (Fixture *fixture)
{
  for (int what = LEAVE; what <= CHANGE; what++)
    {
      Itself *itself = g_new0 (Itself, 1);
      int fds[2];

      make_pipe (fds);
      put (fds[1]);
      clear_log (fixture);
      *itself = (Itself) { fixture, FALSE, what };
      reader (fixture, fds[0], itself_cb, itself, itself_free);
      turn (fixture);
      g_assert_true (g_str_has_prefix (fixture->log->str, "i~"));
      turn (fixture);
      if (what == LEAVE)
        assert_log (fixture, "i~");
      else
        g_assert_true (g_str_has_prefix (fixture->log->str, "i~n"));
      g_assert_cmpint (evp_event_loop_remove_reader (fixture->loop, fds[0]), ==, what == CHANGE);
      close_both (fds);
    }
}

/* Rules: F-4, F-5, F-7 */
static void
case_bad_fds (Fixture *fixture)
{
  static const int negative[] = { -1, -7, G_MININT };
  g_autoptr (GError) error = NULL;
  int fds[2];

  for (guint i = 0; i < G_N_ELEMENTS (negative); i++)
    {
      g_assert_false (evp_event_loop_add_reader (fixture->loop, negative[i], never_fd_cb, note (fixture, ""), note_free, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      g_assert_false (evp_event_loop_add_writer (fixture->loop, negative[i], never_fd_cb, note (fixture, ""), note_free, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      assert_no_reader (fixture, negative[i]);
    }
  assert_log (fixture, "~~~~~~");

  make_pipe (fds);
  assert_no_reader (fixture, fds[0]);
  assert_no_reader (fixture, 1000000);
  close_both (fds);
  clear_log (fixture);
  g_assert_false (evp_event_loop_add_reader (fixture->loop, fds[0], never_fd_cb, note (fixture, ""), note_free, &error));
  g_assert_nonnull (error);
  g_assert_true (error->domain == G_IO_ERROR);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
  g_clear_error (&error);
  g_assert_false (evp_event_loop_add_writer (fixture->loop, fds[0], never_fd_cb, note (fixture, ""), note_free, &error));
  g_assert_nonnull (error);
  assert_log (fixture, "~~");
  assert_no_reader (fixture, fds[0]);
  turn (fixture);
}

/* Rules: F-6, Z-22 */
static void
case_fd_zero (Fixture *fixture)
{
  int saved = fcntl (0, F_DUPFD_CLOEXEC, 3);
  int fds[2];
  Note *data = note (fixture, "0");

  make_pipe (fds);
  g_assert_cmpint (dup2 (fds[0], 0), ==, 0);
  put (fds[1]);
  data->then = finish_cb;
  reader (fixture, 0, note_fd_cb, data, note_free);
  drive (fixture);
  g_assert_cmpint (fixture->log->str[0], ==, '0');
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, 0));
  g_assert_false (evp_event_loop_remove_reader (fixture->loop, 0));
  if (saved >= 0)
    {
      g_assert_cmpint (dup2 (saved, 0), ==, 0);
      close (saved);
    }
  else
    {
      close (0);
    }
  close_both (fds);
}

static void
count_fd_cb (int      fd,
             gpointer user_data)
{
  guint *n = user_data;

  (*n)++;
}

/* Rules: F-8, Z-20 */
static void
case_regular_file (Fixture *fixture)
{
  g_autofree char *path = NULL;
  guint n_read = 0, n_written = 0;
  int fds[2];
  int fd = g_file_open_tmp ("evp-contract-XXXXXX", &path, NULL);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (unlink (path), ==, 0);
  make_pipe (fds);
  reader (fixture, fd, count_fd_cb, &n_read, NULL);
  writer (fixture, fd, count_fd_cb, &n_written, NULL);
  add_reader (fixture, fds[0], "p"); /* ordinary ones beside it */
  put (fds[1]);
  for (int i = 0; i < 5; i++)
    turn (fixture);
  g_assert_cmpuint (n_read, >=, 5);
  g_assert_cmpuint (n_written, >=, 5);
  g_assert_cmpint (fixture->log->str[0], ==, 'p');
  if (!fixture->kind->adopted)
    g_assert_cmpuint (n_read, ==, 5);

  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fd));
  n_read = n_written = 0;
  turn (fixture);
  g_assert_cmpuint (n_read, ==, 0);
  g_assert_cmpuint (n_written, >=, 1);
  g_assert_true (evp_event_loop_remove_writer (fixture->loop, fd));
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  g_assert_cmpuint (polls_of_quiet_run (fixture), <=, 8);
  close (fd);
  close_both (fds);
}

static gboolean
finish_from_source_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  /* ends the wait as well */
  g_assert_true (evp_event_loop_call_soon_threadsafe (fixture->loop, finish_cb, fixture, NULL, NULL));
  return G_SOURCE_REMOVE;
}

/* Rules: I-6 */
static void
case_quiet_after_timer (Fixture *fixture)
{
  g_autoptr (GSource) source = NULL;

  if (fixture->context == NULL)
    {
      g_test_skip ("a loop without a main context");
      return;
    }

  /* the last timer has passed, and whatever woke the loop for it must not go on doing so */
  call_later (fixture, 0.002, finish_cb, fixture);
  drive (fixture);

  count_polls (fixture);
  source = g_timeout_source_new (50);
  g_source_set_callback (source, finish_from_source_cb, fixture, NULL);
  g_source_attach (source, fixture->context);
  drive (fixture);
  g_assert_cmpuint (n_polls (fixture), <=, 8);
}

/* Rules: F-8, I-3 */
static void
case_regular_file_alone (Fixture *fixture)
{
  guint n_read = 0;
  int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  /* always ready, and the loop does other things too */
  reader (fixture, fd, count_fd_cb, &n_read, NULL);
  later (fixture, 0.002, "t");
  call_later (fixture, 0.01, finish_cb, fixture);
  drive (fixture);
  assert_log (fixture, "t");
  /* a slow machine may have come to both timers at once */
  for (int i = 0; n_read < 2 && i < 10; i++)
    turn (fixture);
  g_assert_cmpuint (n_read, >=, 2);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fd));
  close (fd);
}

/* Rules: F-10, Z-19 */
static void
case_hang_up (Fixture *fixture)
{
  int fds[2];

  /* the other side of a pair goes: both directions */
  make_pair (fds);
  add_reader (fixture, fds[0], "r");
  turn (fixture);
  assert_log (fixture, "");
  add_writer (fixture, fds[0], "w");
  close (fds[1]);
  turn (fixture);
  g_assert_true (g_str_has_prefix (fixture->log->str, "rw"));
  evp_event_loop_remove_reader (fixture->loop, fds[0]);
  evp_event_loop_remove_writer (fixture->loop, fds[0]);
  close (fds[0]);

  /* the write end of a full pipe without readers: a writer is told, … */
  for (int both = 0; both < 2; both++)
    {
      char block[4096] = { 0 };

      make_pipe (fds);
      while (write (fds[1], block, sizeof block) > 0)
        ;
      clear_log (fixture);
      add_writer (fixture, fds[1], "w");
      if (both) /* … and who watches it for reading, as that is how the end of a reader is noticed */
        add_reader (fixture, fds[1], "r");
      turn (fixture);
      assert_log (fixture, "");
      close (fds[0]);
      turn (fixture);
      g_assert_true (g_str_has_prefix (fixture->log->str, both ? "rw" : "w"));
      evp_event_loop_remove_writer (fixture->loop, fds[1]);
      evp_event_loop_remove_reader (fixture->loop, fds[1]);
      close (fds[1]);
    }

  make_pipe (fds);
  clear_log (fixture);
  add_reader (fixture, fds[1], "r");
  turn (fixture);
  assert_log (fixture, "");
  close (fds[0]);
  turn (fixture);
  g_assert_true (g_str_has_prefix (fixture->log->str, "r"));
  evp_event_loop_remove_reader (fixture->loop, fds[1]);
  close (fds[1]);

  /* end of file */
  make_pipe (fds);
  clear_log (fixture);
  add_reader (fixture, fds[0], "e");
  close (fds[1]);
  turn (fixture);
  g_assert_true (g_str_has_prefix (fixture->log->str, "e"));
  evp_event_loop_remove_reader (fixture->loop, fds[0]);
  close (fds[0]);
}

/* Rules: F-11, Z-21 */
static void
case_number_reused (Fixture *fixture)
{
  /* closed without being removed, and the number taken by somebody else */
  for (int direction = 0; direction < 2; direction++)
    {
      int a[2], b[2], number;

      make_pair (a);
      number = a[0];
      add_reader (fixture, number, "old");
      turn (fixture);
      close_both (a);

      make_pair (b);
      if (b[0] != number)
        {
          g_assert_cmpint (fcntl (b[0], F_DUPFD_CLOEXEC, number), ==, number);
          close (b[0]);
          b[0] = number;
        }
      clear_log (fixture);
      if (direction == 0)
        add_reader (fixture, number, "n");
      else
        add_writer (fixture, number, "n");
      clear_log (fixture);
      put (b[1]);
      turn (fixture);
      g_assert_nonnull (strchr (fixture->log->str, 'n'));
      evp_event_loop_remove_reader (fixture->loop, number);
      evp_event_loop_remove_writer (fixture->loop, number);
      clear_log (fixture);
      turn (fixture);
      assert_log (fixture, "");
      close (b[1]);
      close (number);
    }
}

/* Rules: F-11, F-12, Z-21 */
static void
case_number_reused_at_once (Fixture *fixture)
{
  int a[2], b[2];

  /* dup2() over a watched number: no moment in which it was closed */
  make_pipe (a);
  make_pipe (b);
  add_reader (fixture, a[0], "old");
  turn (fixture);
  g_assert_cmpint (dup2 (b[0], a[0]), ==, a[0]);
  add_reader (fixture, a[0], "n");
  clear_log (fixture);
  put (b[1]);
  turn (fixture);
  g_assert_cmpint (fixture->log->str[0], ==, 'n');
  g_assert_null (strchr (fixture->log->str, 'o'));
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, a[0]));
  close_both (a);
  close_both (b);
}

/* Rules: F-12, Z-21 */
static void
case_duplicate_stays (Fixture *fixture)
{
  int fds[2], duplicate;

  make_pipe (fds);
  duplicate = fcntl (fds[0], F_DUPFD_CLOEXEC, 3);
  add_reader (fixture, fds[0], "r");
  turn (fixture);
  /* closed first, removed then: a selector may no longer reach it */
  close (fds[0]);
  evp_event_loop_remove_reader (fixture->loop, fds[0]);
  assert_no_reader (fixture, fds[0]);
  put (fds[1]); /* through the duplicate it is ready for ever */
  clear_log (fixture);
  g_assert_cmpuint (polls_of_quiet_run (fixture), <=, 12);
  assert_log (fixture, "");

  /* the loop watches others as ever */
  add_reader (fixture, duplicate, "d");
  turn (fixture);
  g_assert_cmpint (fixture->log->str[0], ==, 'd');
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, duplicate));
  close (duplicate);
  close (fds[1]);
}

/* Rules: F-11, F-12, Z-19, Z-21 */
static void
case_duplicate_and_new_owner (Fixture *fixture)
{
  int a[2], b[2], duplicate, number;

  /* the old description lives on, and the number means another one now: each on its own */
  make_pipe (a);
  number = a[0];
  duplicate = fcntl (number, F_DUPFD_CLOEXEC, 3);
  add_reader (fixture, number, "old");
  turn (fixture);
  close (number);
  make_pipe (b);
  if (b[0] != number)
    {
      g_assert_cmpint (fcntl (b[0], F_DUPFD_CLOEXEC, number), ==, number);
      close (b[0]);
      b[0] = number;
    }
  add_reader (fixture, number, "n");
  clear_log (fixture);
  put (a[1]);
  g_assert_cmpuint (polls_of_quiet_run (fixture), <=, 12);
  assert_log (fixture, "");
  put (b[1]);
  turn (fixture);
  g_assert_cmpint (fixture->log->str[0], ==, 'n');
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, number));
  close (duplicate);
  close (a[1]);
  close_both (b);
}

/* Rules: F-7, F-11, Z-19, Z-21 */
static void
case_closed_while_watched (Fixture *fixture)
{
  int a[2], b[2];

  /* forgotten, or reported once and given up; never a busy loop */
  make_pipe (a);
  make_pipe (b);
  add_reader (fixture, a[0], "never");
  add_writer (fixture, a[0], "never");
  add_reader (fixture, b[0], "b");
  /* once before, so that what the loop itself opens for timers does not take the number */
  g_assert_cmpuint (polls_of_quiet_run (fixture), <=, 12);
  close_both (a);
  clear_log (fixture);
  g_assert_cmpuint (polls_of_quiet_run (fixture), <=, 12);
  g_assert_null (strchr (fixture->log->str, 'n'));
  if ((fixture->kind->flags & CONTRACT_LOOP_STALE_REPORTS) != 0)
    {
      EvpExceptionContext *context;

      g_assert_cmpuint (fixture->reports->len, ==, 1);
      context = g_ptr_array_index (fixture->reports, 0);
      g_assert_nonnull (evp_exception_context_get_error (context));
      assert_no_reader (fixture, a[0]);
      assert_log (fixture, "~~");
    }
  clear_log (fixture);
  put (b[1]);
  turn (fixture);
  g_assert_cmpint (fixture->log->str[0], ==, 'b');
  evp_event_loop_remove_reader (fixture->loop, a[0]);
  evp_event_loop_remove_writer (fixture->loop, a[0]);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, b[0]));
  close_both (b);
}

static void
fail_fd_cb (int      fd,
            gpointer user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (EvpExceptionContext) context = evp_exception_context_new ("failed");

  evp_event_loop_call_exception_handler (fixture->loop, context);
}

/* Rules: F-13, X-2 */
static void
case_failing_stays (Fixture *fixture)
{
  int fds[2];

  make_pipe (fds);
  put (fds[1]);
  reader (fixture, fds[0], fail_fd_cb, fixture, NULL);
  for (int i = 0; i < 3; i++)
    turn (fixture);
  g_assert_cmpuint (fixture->reports->len, >=, 3);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  close_both (fds);
}

static void
greedy_cb (int      fd,
           gpointer user_data)
{
  guint *n_read = user_data;
  char byte;

  /* two watch one pipe: the second comes too late, and must bear it */
  if (read (fd, &byte, 1) == 1)
    (*n_read)++;
  else
    g_assert_cmpint (errno, ==, EAGAIN);
}

/* Rules: F-14 */
static void
case_spurious (Fixture *fixture)
{
  int fds[2], duplicate;
  guint n_read = 0;

  make_pipe (fds);
  duplicate = fcntl (fds[0], F_DUPFD_CLOEXEC, 3);
  reader (fixture, fds[0], greedy_cb, &n_read, NULL);
  reader (fixture, duplicate, greedy_cb, &n_read, NULL);
  put (fds[1]);
  turn (fixture);
  turn (fixture);
  g_assert_cmpuint (n_read, ==, 1);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, duplicate));
  close (duplicate);
  close_both (fds);
}

typedef struct
{
  Fixture *fixture;
  int fd;
} Adding;

static gboolean
add_in_source_cb (gpointer user_data)
{
  Adding *adding = user_data;

  reader (adding->fixture, adding->fd, read_and_finish_cb, adding->fixture, NULL);
  return G_SOURCE_REMOVE;
}

/* Rules: F-15 */
static void
case_added_outside (Fixture *fixture)
{
  int fds[2];
  Adding adding = { fixture, -1 };

  /* by a source of somebody else, while the loop's own sleeps: first and second descriptor */
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (GSource) timeout = g_timeout_source_new (5);

      make_pipe (fds);
      put (fds[1]);
      adding.fd = fds[0];
      g_source_set_callback (timeout, add_in_source_cb, &adding, NULL);
      g_source_attach (timeout, fixture->context);
      drive (fixture);
      g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
      close_both (fds);
    }
}

static gpointer
add_thread (gpointer data)
{
  Adding *adding = data;

  reader (adding->fixture, adding->fd, read_and_finish_cb, adding->fixture, NULL);
  return NULL;
}

/* Rules: F-15 */
static void
case_added_before_run (Fixture *fixture)
{
  int fds[2];
  Adding adding = { fixture, -1 };

  make_pipe (fds);
  put (fds[1]);
  adding.fd = fds[0];
  /* while the loop stands still */
  g_thread_join (g_thread_new ("add", add_thread, &adding));
  drive (fixture);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  close_both (fds);
}

#define N_PIPES 200

typedef struct
{
  Fixture *fixture;
  guint *n_left;
  guint n_called;
} Member;

static void
member_cb (int      fd,
           gpointer user_data)
{
  Member *member = user_data;

  get (fd);
  member->n_called++;
  if (--*member->n_left == 0)
    finish (member->fixture);
}

/* Rules: F-1, I-5 */
static void
case_many (Fixture *fixture)
{
  int fds[N_PIPES][2];
  Member members[N_PIPES];
  guint n_left = N_PIPES;

  for (guint i = 0; i < N_PIPES; i++)
    {
      make_pipe (fds[i]);
      members[i] = (Member) { fixture, &n_left, 0 };
      reader (fixture, fds[i][0], member_cb, &members[i], NULL);
    }
  turn (fixture);
  for (guint i = 0; i < N_PIPES; i++)
    put (fds[i][1]);
  drive (fixture);
  for (guint i = 0; i < N_PIPES; i++)
    {
      g_assert_cmpuint (members[i].n_called, ==, 1);
      /* every other stays until close() */
      if (i % 2 == 0)
        g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[i][0]));
    }
  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  for (guint i = 0; i < N_PIPES; i++)
    {
      g_assert_false (evp_event_loop_remove_reader (fixture->loop, fds[i][0]));
      put (fds[i][1]);
      get (fds[i][0]); /* still open */
      close_both (fds[i]);
    }
}

static void
again_cb (gpointer user_data)
{
  call (user_data, again_cb, user_data);
}

/* Rules: I-3, Z-2 */
static void
case_not_starved (Fixture *fixture)
{
  int fds[2];

  make_pipe (fds);
  put (fds[1]);
  call (fixture, again_cb, fixture);
  reader (fixture, fds[0], read_and_finish_cb, fixture, NULL);
  drive (fixture);
  evp_event_loop_remove_reader (fixture->loop, fds[0]);
  close_both (fds);
}

typedef struct
{
  Fixture *fixture;
  GMainLoop *nested;
  int fds[2], other[2];
  guint n_polls;
  guint n_calls;
  gboolean hang_up;
  gboolean other_called;
} Dialog;

static void
quit_cb (gpointer user_data)
{
  g_main_loop_quit (user_data);
}

static void
other_cb (int      fd,
          gpointer user_data)
{
  Dialog *dialog = user_data;

  get (fd);
  dialog->other_called = TRUE;
}

static void
dialog_cb (int      fd,
           gpointer user_data)
{
  Dialog *dialog = user_data;
  Fixture *fixture = dialog->fixture;

  if (++dialog->n_calls > 1)
    {
      /* called again once the dialog is over, because there still is something */
      evp_event_loop_remove_reader (fixture->loop, fd);
      evp_event_loop_remove_writer (fixture->loop, fd);
      finish (fixture);
      return;
    }
  put (dialog->other[1]);
  count_polls (fixture);
  call_later (fixture, 0.05, quit_cb, dialog->nested);
  g_main_loop_run (dialog->nested);
  dialog->n_polls = n_polls (fixture);
  g_assert_cmpuint (dialog->n_calls, ==, 1); /* never while it runs */
  g_assert_true (dialog->other_called);
}

static void
run_dialog (Fixture *fixture,
            gboolean hang_up,
            gboolean as_writer)
{
  Dialog dialog = { fixture, g_main_loop_new (fixture->context, FALSE) };

  make_pair (dialog.fds);
  make_pipe (dialog.other);
  dialog.hang_up = hang_up;
  if (hang_up)
    close (dialog.fds[1]);
  else
    put (dialog.fds[1]);
  reader (fixture, dialog.other[0], other_cb, &dialog, NULL);
  if (as_writer)
    writer (fixture, dialog.fds[0], dialog_cb, &dialog, NULL);
  else
    reader (fixture, dialog.fds[0], dialog_cb, &dialog, NULL);
  drive (fixture);
  g_assert_cmpuint (dialog.n_calls, ==, 2);
  /* with the descriptor in the set a nested loop would poll thousands of times */
  g_assert_cmpuint (dialog.n_polls, <=, 12);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, dialog.other[0]));
  close (dialog.fds[0]);
  if (!hang_up)
    close (dialog.fds[1]);
  close_both (dialog.other);
  g_main_loop_unref (dialog.nested);
}

/* Rules: Z-10, I-5, F-1 */
static void
case_dialog_readable (Fixture *fixture)
{
  run_dialog (fixture, FALSE, FALSE);
}

/* Rules: Z-10, I-5, F-3 */
static void
case_dialog_writable (Fixture *fixture)
{
  run_dialog (fixture, FALSE, TRUE);
}

/* Rules: Z-10, F-10, Z-19 */
static void
case_dialog_hang_up (Fixture *fixture)
{
  run_dialog (fixture, TRUE, FALSE);
  run_dialog (fixture, TRUE, TRUE);
}

static void
dialog_remove_cb (int      fd,
                  gpointer user_data)
{
  Dialog *dialog = user_data;
  Fixture *fixture = dialog->fixture;

  if (++dialog->n_calls > 1)
    g_assert_not_reached ();
  call_later (fixture, 0.02, quit_cb, dialog->nested);
  g_main_loop_run (dialog->nested);
  /* removed, closed, and the number given to another, all while it was suspended */
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fd));
  close_both (dialog->fds);
  make_pipe (dialog->fds);
  put (dialog->fds[1]);
  reader (fixture, dialog->fds[0], read_and_finish_cb, fixture, NULL);
}

/* Rules: F-11, Z-10, Z-21 */
static void
case_dialog_removed (Fixture *fixture)
{
  Dialog dialog = { fixture, g_main_loop_new (fixture->context, FALSE) };

  make_pipe (dialog.fds);
  put (dialog.fds[1]);
  reader (fixture, dialog.fds[0], dialog_remove_cb, &dialog, NULL);
  drive (fixture);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, dialog.fds[0]));
  close_both (dialog.fds);
  g_main_loop_unref (dialog.nested);
}

const ContractEntry contract_loop_fd_cases[] = {
  { "reader", case_reader, IN_BOTH | NEEDS_FDS },
  { "slow-reader", case_slow_reader, IN_BOTH | NEEDS_FDS },
  { "reader-wakes", case_reader_wakes, IN_BOTH | NEEDS_FDS },
  { "replace", case_replace, IN_BOTH | NEEDS_FDS },
  { "meddling", case_meddling, IN_BOTH | NEEDS_FDS },
  { "both-directions", case_both_directions, IN_BOTH | NEEDS_FDS },
  { "batch-order", case_batch_order, IN_BOTH | NEEDS_FDS },
  { "stop-with-events", case_stop_with_events, IN_BOTH | NEEDS_FDS },
  { "removes-itself", case_removes_itself, IN_BOTH | NEEDS_FDS },
  { "bad-fds", case_bad_fds, IN_BOTH | NEEDS_FDS },
  { "fd-zero", case_fd_zero, IN_BOTH | NEEDS_FDS },
  { "quiet-after-timer", case_quiet_after_timer, IN_BOTH },
  { "regular-file", case_regular_file, IN_BOTH | NEEDS_FDS },
  { "regular-file-alone", case_regular_file_alone, IN_BOTH | NEEDS_FDS },
  { "hang-up", case_hang_up, IN_BOTH | NEEDS_FDS },
  { "number-reused", case_number_reused, IN_BOTH | NEEDS_FDS },
  { "number-reused-at-once", case_number_reused_at_once, IN_BOTH | NEEDS_FDS },
  { "duplicate-stays", case_duplicate_stays, IN_BOTH | NEEDS_FDS },
  { "duplicate-and-new-owner", case_duplicate_and_new_owner, IN_BOTH | NEEDS_FDS },
  { "closed-while-watched", case_closed_while_watched, IN_BOTH | NEEDS_FDS },
  { "failing-stays", case_failing_stays, IN_BOTH | NEEDS_FDS },
  { "spurious", case_spurious, IN_BOTH | NEEDS_FDS },
  { "added-outside", case_added_outside, IN_BOTH | NEEDS_FDS },
  { "added-before-run", case_added_before_run, IN_BOTH | NEEDS_FDS },
  { "many", case_many, IN_BOTH | NEEDS_FDS },
  { "not-starved", case_not_starved, IN_BOTH | NEEDS_FDS },
  { "dialog-readable", case_dialog_readable, IN_BOTH | NEEDS_FDS },
  { "dialog-writable", case_dialog_writable, IN_BOTH | NEEDS_FDS },
  { "dialog-hang-up", case_dialog_hang_up, IN_BOTH | NEEDS_FDS },
  { "dialog-removed", case_dialog_removed, IN_BOTH | NEEDS_FDS },
  { NULL },
};
