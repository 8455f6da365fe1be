/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-child-handler-private.h"

G_BEGIN_DECLS

/*
 * The children that a watcher watches, apart from the watcher itself: readers, threads and posted callbacks
 * hold the table and never the object, which can therefore go at any time.
 *
 * Functions may be called from any thread.
 */
typedef struct _EvpWatchTable EvpWatchTable;
typedef struct _EvpWatch      EvpWatch;

/* What a kind of watcher adds to a watch. All but @size are nullable; no lock is held. */
typedef struct
{
  gsize size;
  /* The loop of the handler may be another one than before. */
  void          (*moved) (EvpWatch *watch);
  /* The watch has left the table: let go of whatever notices the end. */
  void          (*stop)  (EvpWatch *watch);
  /* The last reference is gone. */
  void          (*clear) (EvpWatch *watch);
  /* Reaps the child; under the lock of the table. NULL: by its pid. */
  EvpWaitResult (*reap)  (EvpWatch *watch,
                          int      *returncode,
                          double   *cpu_time);
} EvpWatchFuncs;

struct _EvpWatchTable
{
  gatomicrefcount ref_count;
  guint generation;           /* of the process that it belongs to; constant */

  GMutex lock;                /* protects what follows; not held while foreign code runs */
  GHashTable *watches;        /* pid → EvpWatch */
  EvpAbstractEventLoop *loop; /* attached; (owned) (nullable) */
  GThread *home;              /* the thread that attached it; (owned) (nullable) */
  gboolean closed;
};

struct _EvpWatch
{
  gatomicrefcount ref_count;

  /* constant */
  const EvpWatchFuncs *funcs;
  EvpWatchTable *table;
  GPid pid;

  /* under the table's lock */
  EvpChildHandler *handler; /* NULL when the watch is not in the table */
  gboolean follows;         /* the handler goes where the watcher is attached; settled when it is added */
  gboolean posted;          /* a callback that collects the status is on its way to a loop */
};

EvpWatchTable *evp_watch_table_new    (void);
EvpWatchTable *evp_watch_table_ref    (EvpWatchTable *self);
void           evp_watch_table_unref  (EvpWatchTable *self);

gboolean evp_watch_table_is_forked (EvpWatchTable  *self);
/* FORKED or WATCHER_CLOSED, if it is. */
gboolean evp_watch_table_check     (EvpWatchTable  *self,
                                    GError        **error);
/* The same with the lock, which stays held if it returns TRUE. */
gboolean evp_watch_table_lock_open (EvpWatchTable  *self,
                                    GError        **error);
guint    evp_watch_table_get_size  (EvpWatchTable  *self);

/* The attached loop, with a reference, and its thread, with one too. */
EvpAbstractEventLoop *evp_watch_table_dup_loop (EvpWatchTable *self,
                                                GThread      **home);
/* The thread that @loop belongs to while it does not run, as far as we know; with a reference. */
GThread              *evp_watch_table_dup_home (EvpWatchTable        *self,
                                                EvpAbstractEventLoop *loop);
/*
 * Finds a loop for a handler that has none: the attached one. If there is none either, FALSE with
 * NO_RUNNING_LOOP; FALSE too if the loop is closed.
 */
gboolean              evp_watch_table_bind     (EvpWatchTable    *self,
                                                EvpChildHandler  *handler,
                                                GError          **error);

/*
 * Puts a handler in. If its child is watched already, the handler there is cancelled and replaced,
 * and @fresh is FALSE. With a reference.
 */
EvpWatch *evp_watch_table_add        (EvpWatchTable       *self,
                                      EvpChildHandler     *handler,
                                      const EvpWatchFuncs *funcs,
                                      gboolean            *fresh);
/* The same under the lock; the caller then lets go of @replaced with evp_watch_replaced(). */
EvpWatch *evp_watch_table_add_locked (EvpWatchTable       *self,
                                      EvpChildHandler     *handler,
                                      const EvpWatchFuncs *funcs,
                                      EvpChildHandler    **replaced);
void      evp_watch_replaced         (EvpWatch            *watch,
                                      EvpChildHandler     *replaced);
/* Puts one in again that has left the table and whose child has not been reaped. Under the lock. */
void      evp_watch_table_readd_locked (EvpWatchTable     *self,
                                        EvpWatch          *watch,
                                        EvpChildHandler   *handler);
/* Forgets a child; FALSE if there was none. */
gboolean  evp_watch_table_remove     (EvpWatchTable       *self,
                                      GPid                 pid);
/* Forgets all children, and refuses others from now on. */
void      evp_watch_table_close      (EvpWatchTable       *self);
/* The watcher works with this loop from now on, and is open. */
void      evp_watch_table_attach     (EvpWatchTable        *self,
                                      EvpAbstractEventLoop *loop);
/* All watches, each with a reference. */
GPtrArray *evp_watch_table_list      (EvpWatchTable       *self);

EvpWatch        *evp_watch_ref     (EvpWatch      *self);
void             evp_watch_unref   (gpointer       self);
gboolean         evp_watch_is_live (EvpWatch      *self);
/* Takes the watch out of the table, and its handler with it; NULL if somebody else was quicker. */
EvpChildHandler *evp_watch_take        (EvpWatch      *self);
EvpChildHandler *evp_watch_take_locked (EvpWatch      *self);
/*
 * Looks at the child, and if it has ended, reaps it and takes the watch out: in one step, so that of two
 * threads none sees "lost" because of the other. The handler knows the processor time then.
 */
EvpChildHandler *evp_watch_collect (EvpWatch      *self,
                                    EvpWaitResult *result,
                                    int           *returncode);
/* Tells a handler, from whatever thread this is. */
void             evp_watch_tell    (EvpChildHandler *handler,
                                    EvpWaitResult    result,
                                    int              returncode);
/* The two together, with stop() between. FALSE if the child has not ended. */
gboolean         evp_watch_finish  (EvpWatch      *self);
/* From any thread, for a child that has ended: finishes the watch on the thread of its loop. */
void             evp_watch_publish (EvpWatch      *self);
/* The loop is closed: reaps the child if it has ended, and drops the handler with a warning. */
void             evp_watch_drop    (EvpWatch      *self);

G_END_DECLS
