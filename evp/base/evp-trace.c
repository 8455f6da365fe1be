/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-trace-private.h"

#ifdef HAVE_SYSPROF
# include <stdlib.h>
# include <sysprof-capture.h>
# include <unistd.h>

/*
 * Two ways to record: Sysprof itself hands over a socket, SYSPROF_CONTROL_FD, and its collector does the rest; or
 * somebody hands over a file, SYSPROF_TRACE_FD, and we write it.
 */
static GMutex lock; /* protects the writer */
static SysprofCaptureWriter *writer;

static void
flush_at_exit (void)
{
  g_mutex_lock (&lock);
  sysprof_capture_writer_flush (writer);
  g_mutex_unlock (&lock);
}

static gboolean
find_recording (void)
{
  if (g_getenv ("SYSPROF_CONTROL_FD") != NULL)
    {
      sysprof_clock_init ();
      return TRUE;
    }
  writer = sysprof_capture_writer_new_from_env (0);
  if (writer != NULL)
    atexit (flush_at_exit);
  return writer != NULL;
}

gboolean
evp_trace_is_active (void)
{
  static gsize state; /* 1: no, 2: yes; what starts the process decides */

  if (g_once_init_enter (&state))
    g_once_init_leave (&state, find_recording () ? 2 : 1);
  return state == 2;
}

gint64
evp_trace_now (void)
{
  return SYSPROF_CAPTURE_CURRENT_TIME;
}

void
evp_trace_mark (gint64      begin,
                const char *name,
                const char *message)
{
  gint64 duration = evp_trace_now () - begin;

  if (writer == NULL)
    {
      sysprof_collector_mark (begin, duration, "libevp", name, message);
      return;
    }
  g_mutex_lock (&lock);
  sysprof_capture_writer_add_mark (writer, begin, -1, getpid (), (guint64) duration, "libevp", name, message);
  g_mutex_unlock (&lock);
}

#else

gboolean
evp_trace_is_active (void)
{
  return FALSE;
}

gint64
evp_trace_now (void)
{
  return 0;
}

void
evp_trace_mark (gint64      begin,
                const char *name,
                const char *message)
{
}

#endif
