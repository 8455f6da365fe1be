/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/policy/evp-policy-environment-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-capabilities.h"
#include "evp/proactor/evp-gio-proactor.h"
#include "evp/proactor/evp-uring-proactor.h"
#include "evp/selector/evp-epoll-selector.h"
#include "evp/selector/evp-poll-selector.h"
#include "evp/selector/evp-select-selector.h"
#include "evp/watcher/evp-fast-child-watcher.h"
#include "evp/watcher/evp-glib-child-watcher.h"
#include "evp/watcher/evp-multi-loop-child-watcher.h"
#include "evp/watcher/evp-pidfd-child-watcher.h"
#include "evp/watcher/evp-safe-child-watcher.h"
#include "evp/watcher/evp-threaded-child-watcher.h"
#ifdef HAVE_SYS_EVENT_H
#include "evp/selector/evp-kqueue-selector.h"
#endif

typedef struct
{
  const char *name;
  GType (*get_type) (void); /* NULL if this build does not have it */
  const char *capability;   /* that it needs; NULL: none */
} Choice;

static const Choice child_watchers[] = {
  { "pidfd", evp_pidfd_child_watcher_get_type, "pidfd" },
  { "threaded", evp_threaded_child_watcher_get_type },
  { "safe", evp_safe_child_watcher_get_type },
  { "fast", evp_fast_child_watcher_get_type },
  { "multi-loop", evp_multi_loop_child_watcher_get_type },
  { "glib", evp_glib_child_watcher_get_type },
  { NULL, NULL },
};

static const Choice selectors[] = {
#ifdef HAVE_SYS_EPOLL_H
  { "epoll", evp_epoll_selector_get_type },
#else
  { "epoll", NULL },
#endif
  { "poll", evp_poll_selector_get_type },
  { "select", evp_select_selector_get_type },
#ifdef HAVE_SYS_EVENT_H
  { "kqueue", evp_kqueue_selector_get_type },
#else
  { "kqueue", NULL },
#endif
  { NULL, NULL },
};

static const Choice proactors[] = {
  { "uring", evp_uring_proactor_get_type, "io-uring" },
  { "gio", evp_gio_proactor_get_type },
  { NULL, NULL },
};

/* Written once, before `ready` is. */
static GType child_watcher_type;
static GType selector_type;
static GType proactor_type;
static gsize ready;

static const Choice *
find_choice (const Choice *choices,
             const char   *name)
{
  for (const Choice *choice = choices; choice->name != NULL; choice++)
    if (g_strcmp0 (choice->name, name) == 0)
      return choice;
  return NULL;
}

static gboolean
is_available (const Choice *choice)
{
  return choice->get_type != NULL && (choice->capability == NULL || evp_capabilities_get (choice->capability));
}

static GType
read_choice (const char   *variable,
             const Choice *choices)
{
  const Choice *choice = find_choice (choices, g_getenv (variable));

  return choice != NULL && is_available (choice) ? choice->get_type () : G_TYPE_INVALID;
}

static void
check_choice (const char   *variable,
              const Choice *choices)
{
  const char *value = g_getenv (variable);
  const Choice *choice = find_choice (choices, value);
  g_autoptr (GString) known = NULL;

  if (value == NULL || *value == '\0')
    return;
  if (choice == NULL)
    {
      known = g_string_new (NULL);
      for (const Choice *other = choices; other->name != NULL; other++)
        g_string_append_printf (known, "%s%s", known->len > 0 ? ", " : "", other->name);
      evp_warn_runtime (
          /* Translators: name of an environment variable, its value, a list of values */
          _("%s=%s is not known and is ignored; known are: %s"), variable, value, known->str);
    }
  else if (!is_available (choice))
    {
      known = g_string_new (NULL);
      for (const Choice *other = choices; other->name != NULL; other++)
        if (is_available (other))
          g_string_append_printf (known, "%s%s", known->len > 0 ? ", " : "", other->name);
      evp_warn_runtime (
          /* Translators: name of an environment variable, its value, a list of values */
          _("%s=%s is not available on this system and is ignored; available are: %s"),
          variable, value, known->str);
    }
}

static void
read_environment (void)
{
  if (!g_once_init_enter (&ready))
    return;
  child_watcher_type = read_choice ("EVP_CHILD_WATCHER", child_watchers);
  selector_type = read_choice ("EVP_SELECTOR", selectors);
  proactor_type = read_choice ("EVP_PROACTOR", proactors);
  g_once_init_leave (&ready, 1);

  /* outside, since a log writer may do anything */
  check_choice ("EVP_CHILD_WATCHER", child_watchers);
  check_choice ("EVP_SELECTOR", selectors);
  check_choice ("EVP_PROACTOR", proactors);
}

GType
evp_policy_environment_get_child_watcher_type (void)
{
  read_environment ();
  return child_watcher_type;
}

GType
evp_policy_environment_get_selector_type (void)
{
  read_environment ();
  return selector_type;
}

GType
evp_policy_environment_get_proactor_type (void)
{
  read_environment ();
  return proactor_type;
}
