/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-private.h"

#include <glib/gi18n.h>

/*
 * `evp info`: what this machine and sandbox allow, what the defaults become, and why.
 */

typedef struct
{
  const char *key;  /* in JSON */
  const char *name; /* on the screen; translated */
  char *value;      /* NULL: there is none */
  char *reason;     /* or NULL */
} Default;

static void
default_clear (gpointer data)
{
  Default *self = data;

  g_free (self->value);
  g_free (self->reason);
}

static void
add_default (GArray     *defaults,
             const char *key,
             const char *name,
             char       *value,
             char       *reason)
{
  Default entry = { key, name, value, reason };

  g_array_append_val (defaults, entry);
}

/* What an environment variable may ask for, and the type that it then becomes. */
typedef struct
{
  const char *value;
  const char *type_name;
} Choice;

static const Choice selectors[] = {
  { "epoll", "EvpEpollSelector" },
  { "poll", "EvpPollSelector" },
  { "select", "EvpSelectSelector" },
  { "kqueue", "EvpKqueueSelector" },
};

static char *
why_variable (const char *variable)
{
  /* Translators: an environment variable and its value: "set by EVP_POLICY=selector" */
  return g_strdup_printf (_("set by %s=%s"), variable, g_getenv (variable));
}

/* EVP_POLICY has a say only if there is such a policy; the library has warned otherwise. */
static char *
why_policy (void)
{
  const char *value = g_getenv ("EVP_POLICY");
  GIOExtensionPoint *point = g_io_extension_point_lookup (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME);

  if (value == NULL || point == NULL || g_io_extension_point_get_extension_by_name (point, value) == NULL)
    return NULL;
  return why_variable ("EVP_POLICY");
}

/* The same for a type: asked for by @variable, or the best that works. */
static char *
why_type (const char *type_name,
          const char *variable,
          const char *wanted_type_name,
          const char *capability,
          const char *good)
{
  const char *why;

  if (g_strcmp0 (type_name, wanted_type_name) == 0)
    return why_variable (variable);
  why = evp_capabilities_explain (capability);
  return g_strdup (why != NULL ? why : good);
}

static const char *
wanted_selector (void)
{
  const char *value = g_getenv ("EVP_SELECTOR");

  for (guint i = 0; i < G_N_ELEMENTS (selectors); i++)
    if (g_strcmp0 (selectors[i].value, value) == 0)
      return selectors[i].type_name;
  return NULL;
}

/* EVP_PROACTOR, or what spoke for the one and against the other. */
static char *
why_proactor (const char *type_name)
{
  const char *value = g_getenv ("EVP_PROACTOR");
  const char *reason = evp_capabilities_explain ("io-uring");
  gboolean is_uring = g_strcmp0 (type_name, "EvpUringProactor") == 0;

  if (g_strcmp0 (value, is_uring ? "uring" : "gio") == 0)
    return why_variable ("EVP_PROACTOR");
  if (reason == NULL)
    return g_strdup (is_uring ? _("io_uring works here") : _("chosen by the policy, though io_uring works here"));
  /* Translators: %s is a sentence that says why */
  return g_strdup_printf (_("io_uring cannot be used: %s"), reason);
}

static const char *
wanted_watcher (void)
{
  const char *value = g_getenv ("EVP_CHILD_WATCHER");
  const EvpToolWatcher *watcher = value != NULL ? evp_tool_find_watcher (value) : NULL;

  return watcher != NULL ? watcher->type_name : NULL;
}

static void
collect_defaults (GArray *defaults)
{
  g_autoptr (GError) loop_error = NULL;
  g_autoptr (GError) watcher_error = NULL;
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();
  g_autoptr (EvpAbstractEventLoop) loop = evp_new_event_loop (&loop_error);
  g_autoptr (EvpAbstractChildWatcher) watcher = evp_get_child_watcher (&watcher_error);

  add_default (defaults, "policy", _("policy"), g_strdup (G_OBJECT_TYPE_NAME (policy)), why_policy ());

  if (loop != NULL)
    add_default (defaults, "loop", _("event loop"), g_strdup (G_OBJECT_TYPE_NAME (loop)), NULL);
  else
    add_default (defaults, "loop", _("event loop"), NULL, g_strdup (loop_error->message));

  if (EVP_IS_SELECTOR_EVENT_LOOP (loop))
    {
      EvpSelector *selector = evp_selector_event_loop_get_selector (EVP_SELECTOR_EVENT_LOOP (loop));

      add_default (defaults, "selector", _("selector"), g_strdup (G_OBJECT_TYPE_NAME (selector)),
                   why_type (G_OBJECT_TYPE_NAME (selector), "EVP_SELECTOR", wanted_selector (),
                             "epoll", _("epoll works here")));
    }
  else
    add_default (defaults, "selector", _("selector"), NULL, g_strdup (_("the event loop has none")));

  /* a proactor belongs to proactor loops, which name it in a property */
  if (loop != NULL && g_object_class_find_property (G_OBJECT_GET_CLASS (loop), "proactor") != NULL)
    {
      g_autoptr (GObject) proactor = NULL;

      g_object_get (loop, "proactor", &proactor, NULL);
      add_default (defaults, "proactor", _("proactor"),
                   proactor != NULL ? g_strdup (G_OBJECT_TYPE_NAME (proactor)) : NULL,
                   proactor != NULL ? why_proactor (G_OBJECT_TYPE_NAME (proactor)) : NULL);
    }
  else
    add_default (defaults, "proactor", _("proactor"), NULL, g_strdup (_("the event loop has none")));

  if (watcher != NULL)
    add_default (defaults, "child-watcher", _("child watcher"), g_strdup (G_OBJECT_TYPE_NAME (watcher)),
                 why_type (G_OBJECT_TYPE_NAME (watcher), "EVP_CHILD_WATCHER", wanted_watcher (),
                           "pidfd", _("pidfds work here")));
  else
    add_default (defaults, "child-watcher", _("child watcher"), NULL, g_strdup (watcher_error->message));

  if (loop != NULL)
    evp_event_loop_close (loop, NULL);
}

static void
print_json (char  **capabilities,
            GArray *defaults)
{
  g_autoptr (GString) json = g_string_new ("{\n");
  g_autofree char *version = evp_tool_json_string (evp_get_version ());

  g_string_append_printf (json, "  \"version\": %s,\n  \"capabilities\": {", version);
  for (guint i = 0; capabilities[i] != NULL; i++)
    {
      g_autofree char *name = evp_tool_json_string (capabilities[i]);
      const char *why = evp_capabilities_explain (capabilities[i]);
      g_autofree char *reason = why != NULL ? evp_tool_json_string (why) : g_strdup ("null");

      g_string_append_printf (json, "%s\n    %s: { \"works\": %s, \"reason\": %s }", i > 0 ? "," : "", name,
                              why == NULL ? "true" : "false", reason);
    }
  g_string_append (json, "\n  },\n  \"defaults\": {");
  for (guint i = 0; i < defaults->len; i++)
    {
      Default *entry = &g_array_index (defaults, Default, i);
      g_autofree char *value = entry->value != NULL ? evp_tool_json_string (entry->value) : g_strdup ("null");
      g_autofree char *reason = entry->reason != NULL ? evp_tool_json_string (entry->reason) : g_strdup ("null");

      g_string_append_printf (json, "%s\n    \"%s\": { \"type\": %s, \"reason\": %s }", i > 0 ? "," : "",
                              entry->key, value, reason);
    }
  g_string_append (json, "\n  }\n}\n");
  evp_tool_print_json (json->str);
}

static void
print_text (char  **capabilities,
            GArray *defaults)
{
  g_autoptr (GString) text = g_string_new (NULL);
  gsize name_width = 0, value_width = 0;

  for (guint i = 0; capabilities[i] != NULL; i++)
    name_width = MAX (name_width, evp_tool_text_width (capabilities[i]));
  for (guint i = 0; i < defaults->len; i++)
    {
      Default *entry = &g_array_index (defaults, Default, i);

      name_width = MAX (name_width, evp_tool_text_width (entry->name));
      if (entry->value != NULL)
        value_width = MAX (value_width, evp_tool_text_width (entry->value));
    }

  /* Translators: %s is a version */
  g_string_append_printf (text, _("libevp %s\n"), evp_get_version ());
  g_string_append_printf (text, "\n%s\n", _("What works here:"));
  for (guint i = 0; capabilities[i] != NULL; i++)
    {
      const char *why = evp_capabilities_explain (capabilities[i]);

      g_string_append (text, "  ");
      evp_tool_append_padded (text, capabilities[i], name_width, EVP_TOOL_ALIGN_LEFT);
      g_string_append_printf (text, "  %s", why == NULL ? _("yes") : _("no"));
      if (why != NULL)
        g_string_append_printf (text, ": %s", why);
      g_string_append_c (text, '\n');
    }

  g_string_append_printf (text, "\n%s\n", _("What the defaults become:"));
  for (guint i = 0; i < defaults->len; i++)
    {
      Default *entry = &g_array_index (defaults, Default, i);

      g_string_append (text, "  ");
      evp_tool_append_padded (text, entry->name, name_width, EVP_TOOL_ALIGN_LEFT);
      g_string_append (text, "  ");
      if (entry->reason != NULL)
        {
          evp_tool_append_padded (text, entry->value != NULL ? entry->value : "-", value_width, EVP_TOOL_ALIGN_LEFT);
          g_string_append_printf (text, "  %s", entry->reason);
        }
      else
        g_string_append (text, entry->value != NULL ? entry->value : "-");
      g_string_append_c (text, '\n');
    }
  g_print ("%s", text->str);
}

int
evp_tool_info (int    argc,
               char **argv)
{
  g_autoptr (GOptionContext) options = NULL;
  g_autoptr (GArray) defaults = g_array_new (FALSE, FALSE, sizeof (Default));
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) capabilities = NULL;
  gboolean json = FALSE;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, N_("Print JSON"), NULL },
    { NULL },
  };

  options = g_option_context_new (NULL);
  g_option_context_set_translation_domain (options, GETTEXT_PACKAGE);
  g_option_context_set_summary (options, _("Tells what this machine and sandbox allow, what the defaults become, and why."));
  g_option_context_add_main_entries (options, entries, GETTEXT_PACKAGE);
  g_set_prgname ("evp info");
  if (!g_option_context_parse (options, &argc, &argv, &error))
    return evp_tool_usage ("evp info", "%s", error->message);
  if (argc > 1)
    return evp_tool_usage ("evp info", _("“%s” is one word too many"), argv[1]);

  g_array_set_clear_func (defaults, default_clear);
  capabilities = evp_capabilities_list ();
  collect_defaults (defaults);
  if (json)
    print_json (capabilities, defaults);
  else
    print_text (capabilities, defaults);
  return EVP_TOOL_OK;
}
