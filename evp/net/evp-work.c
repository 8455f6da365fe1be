/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-work-private.h"

#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-future.h"

typedef struct
{
  EvpWorkFunc func;
  EvpWorkDoneFunc done; /* NULL once it was called; the loop's thread */
  gpointer data;
  GDestroyNotify unref;
} EvpWork;

static void
evp_work_clear (gpointer data)
{
  EvpWork *work = data;

  work->unref (work->data);
}

static void
evp_work_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, evp_work_clear);
}

static void
evp_work_run (EvpFuture *future,
              gpointer   user_data)
{
  EvpWork *work = user_data;

  work->func (work->data);
}

static void
evp_work_tell (EvpWork *work,
               GError  *error)
{
  EvpWorkDoneFunc done = g_steal_pointer (&work->done);

  done (work->data, error);
}

static void
evp_work_done_cb (EvpFuture *future,
                  gpointer   user_data)
{
  evp_work_tell (user_data, NULL);
}

/* The future's callback goes; if it was never called the loop is closed. */
static void
evp_work_dropped (gpointer data)
{
  EvpWork *work = data;

  if (work->done != NULL)
    evp_work_tell (work, g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                              _("The event loop is closed; make a new one")));
  evp_work_unref (work);
}

gboolean
evp_work_start (EvpAbstractEventLoop *loop,
                EvpWorkFunc           func,
                EvpWorkDoneFunc       done,
                gpointer              data,
                GDestroyNotify        unref,
                GError              **error)
{
  EvpWork *work = g_atomic_rc_box_new (EvpWork);
  g_autoptr (EvpFuture) future = NULL;

  *work = (EvpWork) { func, done, g_atomic_rc_box_acquire (data), unref };
  future = evp_event_loop_run_in_executor (loop, evp_work_run, g_atomic_rc_box_acquire (work),
                                           evp_work_unref, error);
  if (future == NULL)
    {
      evp_work_unref (work);
      return FALSE;
    }
  evp_future_add_done_callback (future, evp_work_done_cb, work, evp_work_dropped);
  return TRUE;
}
