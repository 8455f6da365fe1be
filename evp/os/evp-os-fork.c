/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-fork-private.h"

#include <pthread.h>
#include <unistd.h>

#ifdef __linux__
# include <sys/syscall.h>
#endif

/*
 * 0 until somebody asks: whoever never asked cannot notice a fork, so there is nothing to count
 * before that. Written in the child only, by its single thread.
 */
static guint generation;

#ifndef __linux__
static pthread_t main_thread; /* the thread that asked first; in a child the one that forked */
#endif

static void
after_fork_in_child_cb (void)
{
  guint next = g_atomic_int_get (&generation) + 1;

  g_atomic_int_set (&generation, next != 0 ? next : 1);
#ifndef __linux__
  main_thread = pthread_self ();
#endif
}

static guint
start_counting (void)
{
  static gsize registered = 0;

  if (g_once_init_enter (&registered))
    {
#ifndef __linux__
      main_thread = pthread_self ();
#endif
      /* if this fails for lack of memory, forks go unnoticed; nothing better can be done then */
      pthread_atfork (NULL, NULL, after_fork_in_child_cb);
      g_atomic_int_set (&generation, 1);
      g_once_init_leave (&registered, 1);
    }
  return g_atomic_int_get (&generation);
}

guint
evp_os_fork_generation (void)
{
  guint current = g_atomic_int_get (&generation);

  return G_LIKELY (current != 0) ? current : start_counting ();
}

gboolean
evp_os_is_main_thread (void)
{
  /* which generation the answer is from; a thread's role changes only by forking */
  static __thread guint answered_in = 0;
  static __thread gboolean answer = FALSE;
  guint current = evp_os_fork_generation ();

  if (G_UNLIKELY (answered_in != current))
    {
#ifdef __linux__
      answer = (pid_t) syscall (SYS_gettid) == getpid ();
#else
      answer = pthread_equal (pthread_self (), main_thread) != 0;
#endif
      answered_in = current;
    }
  return answer;
}
