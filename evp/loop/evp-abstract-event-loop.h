/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-enums.h"
#include "evp/base/evp-error.h"
#include "evp/handle/evp-timer-handle.h"
#include "evp/loop/evp-exception-context.h"
#include "evp/proactor/evp-operation.h"

G_BEGIN_DECLS

#define EVP_TYPE_EVENT_LOOP (evp_event_loop_get_type ())

EVP_AVAILABLE_IN_1_0
GType evp_event_loop_get_type (void);

#define EVP_EVENT_LOOP(object) \
  (G_TYPE_CHECK_INSTANCE_CAST ((object), EVP_TYPE_EVENT_LOOP, EvpAbstractEventLoop))
#define EVP_IS_EVENT_LOOP(object) \
  (G_TYPE_CHECK_INSTANCE_TYPE ((object), EVP_TYPE_EVENT_LOOP))
#define EVP_EVENT_LOOP_GET_IFACE(object) \
  (G_TYPE_INSTANCE_GET_INTERFACE ((object), EVP_TYPE_EVENT_LOOP, EvpAbstractEventLoopInterface))

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpAbstractEventLoop, g_object_unref)

typedef struct _EvpAbstractEventLoopInterface EvpAbstractEventLoopInterface;

/**
 * EvpAbstractEventLoopInterface:
 * @parent_iface: the parent interface
 *
 * The slots of an event loop.
 *
 * Every slot has a default: most fail with %EVP_ERROR_NOT_SUPPORTED. Work arrives as an
 * [struct@Evp.Handle] or [struct@Evp.TimerHandle], to be run with [method@Evp.Handle.run].
 *
 * They are called on the thread of the loop; but `is_running`, `is_closed`, `get_time_us`,
 * `schedule_threadsafe`, `dup_main_context` and `default_exception_handler` are called on any thread.
 *
 * A loop that has a main context owns it ([method@GLib.MainContext.acquire]) all the time while it runs, not only
 * while it iterates it: in between, [method@GLib.MainContext.invoke] would run on other threads what is meant for this one.
 *
 * Since: 1.0
 */
struct _EvpAbstractEventLoopInterface
{
  GTypeInterface parent_iface;

  /*< public >*/
  gboolean   (*run_forever)               (EvpAbstractEventLoop *self,
                                           GError              **error);
  void       (*stop)                      (EvpAbstractEventLoop *self);
  gboolean   (*is_running)                (EvpAbstractEventLoop *self);
  gboolean   (*is_closed)                 (EvpAbstractEventLoop *self);
  gboolean   (*close)                     (EvpAbstractEventLoop *self,
                                           GError              **error);
  gint64     (*get_time_us)               (EvpAbstractEventLoop *self);
  gboolean   (*schedule)                  (EvpAbstractEventLoop *self,
                                           EvpHandle            *handle,
                                           GError              **error);
  gboolean   (*schedule_threadsafe)       (EvpAbstractEventLoop *self,
                                           EvpHandle            *handle,
                                           GError              **error);
  gboolean   (*schedule_timer)            (EvpAbstractEventLoop *self,
                                           EvpTimerHandle       *handle,
                                           GError              **error);
  gboolean   (*watch_reader)              (EvpAbstractEventLoop *self,
                                           int                   fd,
                                           EvpHandle            *handle,
                                           GError              **error);
  gboolean   (*watch_writer)              (EvpAbstractEventLoop *self,
                                           int                   fd,
                                           EvpHandle            *handle,
                                           GError              **error);
  gboolean   (*remove_reader)             (EvpAbstractEventLoop *self,
                                           int                   fd);
  gboolean   (*remove_writer)             (EvpAbstractEventLoop *self,
                                           int                   fd);
  gboolean   (*watch_signal)              (EvpAbstractEventLoop *self,
                                           int                   signum,
                                           EvpHandle            *handle,
                                           GError              **error);
  gboolean   (*remove_signal_handler)     (EvpAbstractEventLoop *self,
                                           int                   signum);
  EvpFuture *(*create_future)             (EvpAbstractEventLoop *self);
  void       (*default_exception_handler) (EvpAbstractEventLoop *self,
                                           EvpExceptionContext  *context);
  gboolean   (*get_debug)                 (EvpAbstractEventLoop *self);
  void       (*set_debug)                 (EvpAbstractEventLoop *self,
                                           gboolean              enabled);
  GMainContext *(*dup_main_context)       (EvpAbstractEventLoop *self);
  gboolean   (*submit_operation)          (EvpAbstractEventLoop *self,
                                           EvpOperation         *operation,
                                           GError              **error);
  void       (*cancel_operation)          (EvpAbstractEventLoop *self,
                                           EvpOperation         *operation);

  /*< private >*/
  gpointer padding[22];
};

EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_run_forever                 (EvpAbstractEventLoop *self,
                                                            GError              **error);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_run_until_complete          (EvpAbstractEventLoop *self,
                                                            EvpFuture            *future,
                                                            GError              **error);
EVP_AVAILABLE_IN_1_0
void            evp_event_loop_stop                        (EvpAbstractEventLoop *self);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_is_running                  (EvpAbstractEventLoop *self);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_is_closed                   (EvpAbstractEventLoop *self);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_close                       (EvpAbstractEventLoop *self,
                                                            GError              **error);
EVP_AVAILABLE_IN_1_0
EvpHandle      *evp_event_loop_call_soon                   (EvpAbstractEventLoop *self,
                                                            EvpCallback           callback,
                                                            gpointer              user_data,
                                                            GDestroyNotify        destroy,
                                                            GError              **error);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_call_soon_threadsafe        (EvpAbstractEventLoop *self,
                                                            EvpCallback           callback,
                                                            gpointer              user_data,
                                                            GDestroyNotify        destroy,
                                                            GError              **error);
EVP_AVAILABLE_IN_1_0
EvpHandle      *evp_event_loop_call_soon_threadsafe_handle (EvpAbstractEventLoop *self,
                                                            EvpCallback           callback,
                                                            gpointer              user_data,
                                                            GDestroyNotify        destroy,
                                                            GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpTimerHandle *evp_event_loop_call_later                  (EvpAbstractEventLoop *self,
                                                            double                delay,
                                                            EvpCallback           callback,
                                                            gpointer              user_data,
                                                            GDestroyNotify        destroy,
                                                            GError              **error);
EVP_AVAILABLE_IN_1_0
EvpTimerHandle *evp_event_loop_call_at                     (EvpAbstractEventLoop *self,
                                                            double                when,
                                                            EvpCallback           callback,
                                                            gpointer              user_data,
                                                            GDestroyNotify        destroy,
                                                            GError              **error);
EVP_AVAILABLE_IN_1_0
double          evp_event_loop_time                        (EvpAbstractEventLoop *self);
EVP_AVAILABLE_IN_1_0
EvpFuture      *evp_event_loop_create_future               (EvpAbstractEventLoop *self) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpFuture      *evp_event_loop_run_in_executor             (EvpAbstractEventLoop *self,
                                                            EvpExecutorFunc       func,
                                                            gpointer              user_data,
                                                            GDestroyNotify        destroy,
                                                            GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void            evp_event_loop_set_default_executor        (EvpAbstractEventLoop *self,
                                                            EvpExecutor          *executor);
EVP_AVAILABLE_IN_1_0
void            evp_event_loop_shutdown_default_executor_async  (EvpAbstractEventLoop *self,
                                                                 double                timeout,
                                                                 GCancellable         *cancellable,
                                                                 GAsyncReadyCallback   callback,
                                                                 gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_shutdown_default_executor_finish (EvpAbstractEventLoop *self,
                                                                 GAsyncResult         *result,
                                                                 GError              **error);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_add_reader                  (EvpAbstractEventLoop *self,
                                                            int                   fd,
                                                            EvpFdCallback         callback,
                                                            gpointer              user_data,
                                                            GDestroyNotify        destroy,
                                                            GError              **error);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_remove_reader               (EvpAbstractEventLoop *self,
                                                            int                   fd);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_add_writer                  (EvpAbstractEventLoop *self,
                                                            int                   fd,
                                                            EvpFdCallback         callback,
                                                            gpointer              user_data,
                                                            GDestroyNotify        destroy,
                                                            GError              **error);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_remove_writer               (EvpAbstractEventLoop *self,
                                                            int                   fd);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_add_signal_handler          (EvpAbstractEventLoop *self,
                                                            int                   signum,
                                                            EvpSignalCallback     callback,
                                                            gpointer              user_data,
                                                            GDestroyNotify        destroy,
                                                            GError              **error);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_remove_signal_handler       (EvpAbstractEventLoop *self,
                                                            int                   signum);
EVP_AVAILABLE_IN_1_0
GInputStream   *evp_event_loop_connect_read_pipe           (EvpAbstractEventLoop *self,
                                                            int                   fd,
                                                            GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
GOutputStream  *evp_event_loop_connect_write_pipe          (EvpAbstractEventLoop *self,
                                                            int                   fd,
                                                            GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void            evp_event_loop_set_exception_handler       (EvpAbstractEventLoop *self,
                                                            EvpExceptionHandler   handler,
                                                            gpointer              user_data,
                                                            GDestroyNotify        destroy);
EVP_AVAILABLE_IN_1_0
void            evp_event_loop_call_exception_handler      (EvpAbstractEventLoop *self,
                                                            EvpExceptionContext  *context);
EVP_AVAILABLE_IN_1_0
void            evp_event_loop_default_exception_handler   (EvpAbstractEventLoop *self,
                                                            EvpExceptionContext  *context);
EVP_AVAILABLE_IN_1_0
gboolean        evp_event_loop_get_debug                   (EvpAbstractEventLoop *self);
EVP_AVAILABLE_IN_1_0
void            evp_event_loop_set_debug                   (EvpAbstractEventLoop *self,
                                                            gboolean              enabled);
EVP_AVAILABLE_IN_1_0
GMainContext   *evp_event_loop_dup_main_context            (EvpAbstractEventLoop *self) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
