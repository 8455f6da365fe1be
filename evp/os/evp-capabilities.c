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
 * What works here is found out by trying, once for each name: a version number of the kernel says nothing
 * about the sandbox that the process lives in.
 */
typedef struct
{
  const char *name;
  char *(*try) (void); /* why it does not work; NULL if it does */
} Capability;

static char *
refused (int saved_errno)
{
  /* Translators: %s is an error message of the system */
  return g_strdup_printf (_("The system refuses it here: %s"), g_strerror (saved_errno));
}

static char *
try_epoll (void)
{
#ifdef HAVE_SYS_EPOLL_H
  g_auto (EvpFd) fd = epoll_create1 (EPOLL_CLOEXEC);

  return fd >= 0 ? NULL : refused (errno);
#else
  return g_strdup (_("This system does not have it"));
#endif
}

static char *
try_kqueue (void)
{
#ifdef HAVE_SYS_EVENT_H
  g_auto (EvpFd) fd = kqueue ();

  return fd >= 0 ? NULL : refused (errno);
#else
  return g_strdup (_("This system does not have it"));
#endif
}

static char *
try_pidfd (void)
{
  const char *reason = NULL;

  return evp_os_pidfd_supported (&reason) ? NULL : g_strdup (reason);
}

static char *
try_timerfd (void)
{
#ifdef HAVE_SYS_TIMERFD_H
  g_auto (EvpFd) fd = evp_os_timer_new ();

  return fd >= 0 ? NULL : refused (errno);
#else
  return g_strdup (_("This system does not have it"));
#endif
}

static char *
try_io_uring (void)
{
#ifdef HAVE_LIBURING
  int failed = evp_uring_probe ();

  return failed == 0 ? NULL : refused (failed);
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

/* What was found out; written once under the lock, and never freed. */
static GMutex lock;
static struct
{
  gboolean known;
  char *reason;
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
      if (!found[i].known)
        {
          found[i].reason = capabilities[i].try ();
          found[i].known = TRUE;
        }
      *reason = found[i].reason;
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
 * It is found out by trying it, once. The library does without what does not work.
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
