/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-capabilities.h"

#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-timer-private.h"
#include "evp/os/evp-os-uring-private.h"
#include "evp/os/evp-os-wait-private.h"

#include <errno.h>
#include <string.h>

#ifdef HAVE_SYS_EPOLL_H
# include <sys/epoll.h>
#endif
#ifdef HAVE_SYS_EVENT_H
# include <sys/event.h>
#endif

/*
 * What works here is found out by trying: a version number of the kernel says nothing about the sandbox that
 * the process lives in. An answer is remembered, unless it may be another one the next time.
 */
typedef struct
{
  const char *name;
  char *(*try) (gboolean *passing); /* why it does not work; NULL if it does */
} Capability;

/* What a kernel says that is short of something just now; it does not say that it never will. */
static gboolean
is_passing (int failure)
{
  switch (failure)
    {
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return TRUE;
    default:
      return FALSE;
    }
}

static char *
refused (int       failure,
         gboolean *passing)
{
  *passing = is_passing (failure);
  /* Translators: %s is an error message of the system */
  return g_strdup_printf (_("The system refuses it here: %s"), g_strerror (failure));
}

static char *
try_epoll (gboolean *passing)
{
#ifdef HAVE_SYS_EPOLL_H
  g_auto (EvpFd) fd = epoll_create1 (EPOLL_CLOEXEC);

  return fd >= 0 ? NULL : refused (errno, passing);
#else
  return g_strdup (_("This system does not have it"));
#endif
}

static char *
try_kqueue (gboolean *passing)
{
#ifdef HAVE_SYS_EVENT_H
  g_auto (EvpFd) fd = kqueue ();

  return fd >= 0 ? NULL : refused (errno, passing);
#else
  return g_strdup (_("This system does not have it"));
#endif
}

static char *
try_pidfd (gboolean *passing)
{
  const char *reason = NULL;

  return evp_os_pidfd_supported (&reason) ? NULL : g_strdup (reason);
}

static char *
try_timerfd (gboolean *passing)
{
#ifdef HAVE_SYS_TIMERFD_H
  g_auto (EvpFd) fd = evp_os_timer_new ();

  return fd >= 0 ? NULL : refused (errno, passing);
#else
  return g_strdup (_("This system does not have it"));
#endif
}

static char *
try_io_uring (gboolean *passing)
{
#ifdef HAVE_LIBURING
  int failed = evp_uring_probe ();

  return failed == 0 ? NULL : refused (failed, passing);
#else
  return g_strdup (_("The library was built without liburing"));
#endif
}

static const Capability capabilities[] = {
  { "epoll", try_epoll },
  { "kqueue", try_kqueue },
  { "pidfd", try_pidfd },
  { "io-uring", try_io_uring },
  { "timerfd", try_timerfd },
};

/* What was found out for good; written once under the lock. */
static GMutex lock;
static struct
{
  gboolean known;
  const char *reason; /* interned */
} found[G_N_ELEMENTS (capabilities)];

/* FALSE if there is no such name. */
static gboolean
look_up (const char  *name,
         const char **reason)
{
  for (guint i = 0; i < G_N_ELEMENTS (capabilities); i++)
    {
      if (strcmp (capabilities[i].name, name) != 0)
        continue;

      g_mutex_lock (&lock);
      if (found[i].known)
        *reason = found[i].reason;
      else
        {
          gboolean passing = FALSE;
          g_autofree char *why = capabilities[i].try (&passing);

          /* interned, since the caller keeps it; there are but a few of them */
          *reason = found[i].reason = g_intern_string (why);
          found[i].known = !passing;
        }
      g_mutex_unlock (&lock);
      return TRUE;
    }
  return FALSE;
}

/**
 * evp_capabilities_get:
 * @name: `epoll`, `kqueue`, `pidfd`, `io-uring` or `timerfd`
 *
 * Tells whether something that the library can make use of works on this machine, and in the sandbox of this process.
 *
 * It is found out by trying it, once; again each time while the system is only short of something, descriptors or memory.
 * The library does without what does not work.
 *
 * May be called from any thread. O(1).
 *
 * Returns: whether it works; `FALSE` for an unknown name
 *
 * Since: 1.0
 */
gboolean
evp_capabilities_get (const char *name)
{
  const char *reason;

  g_return_val_if_fail (name != NULL, FALSE);

  return look_up (name, &reason) && reason == NULL;
}

/**
 * evp_capabilities_explain:
 * @name: `epoll`, `kqueue`, `pidfd`, `io-uring` or `timerfd`
 *
 * Tells why something does not work here.
 *
 * A shortage passes. Who wants both the answer and the reason asks only for the reason, so that they fit together.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none) (nullable): a sentence for people, translated; `NULL` if it works
 *
 * Since: 1.0
 */
const char *
evp_capabilities_explain (const char *name)
{
  const char *reason;

  g_return_val_if_fail (name != NULL, NULL);

  if (!look_up (name, &reason))
    return _("There is no capability of this name");
  return reason;
}

/**
 * evp_capabilities_list:
 *
 * Lists the names that [func@Evp.capabilities_get] knows.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (array zero-terminated=1): the names
 *
 * Since: 1.0
 */
char **
evp_capabilities_list (void)
{
  char **names = g_new0 (char *, G_N_ELEMENTS (capabilities) + 1);

  for (guint i = 0; i < G_N_ELEMENTS (capabilities); i++)
    names[i] = g_strdup (capabilities[i].name);
  return names;
}
