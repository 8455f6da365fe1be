/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Aborts the test program loudly, naming what it waited for, unless stopped within @seconds. */
typedef struct _EvpTestDeadline EvpTestDeadline;

EvpTestDeadline *evp_test_deadline_start (guint       seconds,
                                          const char *what);
void             evp_test_deadline_stop  (EvpTestDeadline *deadline);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpTestDeadline, evp_test_deadline_stop)

/* Everything takes many times as long here (a sanitizer, valgrind): do less of it. */
gboolean    evp_test_is_slow       (void);
/* Valgrind runs this, whose limits are not ours. */
gboolean    evp_test_has_valgrind  (void);
/* The thread sanitizer is in this program: signals come only where it knows the call that waits. */
gboolean    evp_test_has_tsan      (void);

guint       evp_test_count_fds     (void); /* descriptors open in this process */
guint       evp_test_count_threads (void);
guint       evp_test_count_zombies (void); /* children of this process that nobody has reaped */

/* Descriptors, threads and zombies now; evp_test_leaks_check() asserts that there are no more again. */
typedef struct
{
  guint fds, threads, zombies;
} EvpTestLeaks;

EvpTestLeaks evp_test_leaks_begin (void);
void         evp_test_leaks_check (EvpTestLeaks *before);
/* Waits until no more threads are left than that. */
void         evp_test_wait_for_threads
                                   (guint         n_threads);

/* What g_usleep() would be for callbacks that have to be slow, but busy. */
void        evp_test_spin          (gint64 microseconds);

/* The path of the child program of the tests; see evp-test-child.c for its modes. */
const char *evp_test_child_path    (void);

/* _exit() of a process that a test has forked, without a report of valgrind's on what it had of its parent. */
void        evp_test_exit_forked   (int status) G_GNUC_NORETURN;

/* posix_spawn of the child program with the given arguments (NULL-terminated); the pid. */
GPid        evp_test_spawn_child   (const char *mode, ...) G_GNUC_NULL_TERMINATED;

G_END_DECLS
