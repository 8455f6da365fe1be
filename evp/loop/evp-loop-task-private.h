/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/proactor/evp-operation-private.h"

G_BEGIN_DECLS

/*
 * The GAsyncResult of an `_async()` function of a loop: what GTask is for a main context. Its callback
 * runs as an ordinary callback of the loop, in the order of everything else there, whatever the
 * thread-default context was when the function was called, and costs no GSource.
 *
 * Everything happens on the loop's thread; the cancellable may be cancelled from any.
 */
#define EVP_TYPE_LOOP_TASK (evp_loop_task_get_type ())

G_DECLARE_FINAL_TYPE (EvpLoopTask, evp_loop_task, EVP, LOOP_TASK, GObject)

/* Called on the loop's thread, once, for a task that has not returned. */
typedef void (*EvpLoopTaskFunc) (EvpLoopTask *self,
                                 gpointer     data);

EvpLoopTask          *evp_loop_task_new               (EvpAbstractEventLoop *loop,
                                                       gpointer              source_object,
                                                       gpointer              tag,
                                                       GCancellable         *cancellable,
                                                       GAsyncReadyCallback   callback,
                                                       gpointer              user_data);
EvpAbstractEventLoop *evp_loop_task_get_loop          (EvpLoopTask          *self);
gpointer              evp_loop_task_get_source        (EvpLoopTask          *self);
GCancellable         *evp_loop_task_get_cancellable   (EvpLoopTask          *self);
gboolean              evp_loop_task_get_returned      (EvpLoopTask          *self);
/* Calls @func when the cancellable is cancelled, also if it already was; never from inside this call. */
void                  evp_loop_task_set_cancel_func   (EvpLoopTask          *self,
                                                       EvpLoopTaskFunc       func,
                                                       gpointer              data);

/*
 * The same for an operation of the loop that is under way: it is cancelled, at once if that happens inside
 * a callback of the loop, so that it takes nothing more. Its function decides what the task returns.
 */
void                  evp_loop_task_set_operation     (EvpLoopTask          *self,
                                                       EvpOperation         *operation);

/*
 * The first return counts; later ones are dropped. The callback runs through the loop. If the loop has
 * been closed, it runs in the thread-default main context instead.
 */
void                  evp_loop_task_return_int        (EvpLoopTask          *self,
                                                       gint64                value);
void                  evp_loop_task_return_pointer    (EvpLoopTask          *self,
                                                       gpointer              value,
                                                       GDestroyNotify        destroy);
void                  evp_loop_task_return_error      (EvpLoopTask          *self,
                                                       GError               *error); /* (transfer full) */
void                  evp_loop_task_return_new_error  (EvpLoopTask          *self,
                                                       GQuark                domain,
                                                       int                   code,
                                                       const char           *format,
                                                       ...) G_GNUC_PRINTF (4, 5);
/*
 * Calls the callback before it returns: for a callback of the loop that exists for this task alone, and
 * for what the loop drops while it closes, when nothing can be scheduled any more. For an
 * int the caller must hold a reference until it has returned.
 */
void                  evp_loop_task_return_int_now    (EvpLoopTask          *self,
                                                       gint64                value);
void                  evp_loop_task_return_pointer_now (EvpLoopTask         *self,
                                                        gpointer             value,
                                                        GDestroyNotify       destroy);
void                  evp_loop_task_return_error_now   (EvpLoopTask         *self,
                                                        GError              *error); /* (transfer full) */

/*
 * Gives the caller's reference back, as g_object_unref() does. A task that nobody else has seen or kept
 * becomes the loop's spare one, which the next evp_loop_task_new() takes.
 */
void                  evp_loop_task_release           (EvpLoopTask          *self);

/*
 * A task for an object that keeps its own to use them again, and that refers to the loop: @self is NULL or has been
 * parked. The task has no references to loop and source of its own, which are there for as long as the
 * call is under way.
 */
EvpLoopTask          *evp_loop_task_renew             (EvpLoopTask          *self,
                                                       EvpAbstractEventLoop *loop,
                                                       gpointer              source_object,
                                                       gpointer              tag,
                                                       GCancellable         *cancellable,
                                                       GAsyncReadyCallback   callback,
                                                       gpointer              user_data);
/*
 * After it has returned, and while the source is there: TRUE if it can be used again. Else somebody has kept
 * it, or its callback is still to be called: it gets references like any other, and is to be unreferenced.
 */
gboolean              evp_loop_task_park              (EvpLoopTask          *self);

gboolean              evp_loop_task_is_valid          (gpointer              result,
                                                       gpointer              source_object,
                                                       gpointer              tag);
gint64                evp_loop_task_propagate_int     (EvpLoopTask          *self,
                                                       GError              **error);
gpointer              evp_loop_task_propagate_pointer (EvpLoopTask          *self,
                                                       GError              **error);

G_END_DECLS
