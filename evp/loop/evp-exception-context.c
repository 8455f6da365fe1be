/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-exception-context.h"

#include "evp/base/evp-i18n-private.h"
#include "evp/base/evp-string-private.h"
#include "evp/handle/evp-handle-private.h"

#include <string.h>

/**
 * EvpExceptionContext:
 *
 * What is known about a failure that nobody else can be told about.
 *
 * A loop gives it to its exception handler: a message for people, the error if there is one, the
 * handle whose callback failed, and any number of texts under the names that asyncio uses: `future`,
 * `task`, `protocol`, `transport`, `socket`, `pipe`, `loop`, `status`, `source_traceback`,
 * `handle_traceback`. Everything is optional, and new names may come: a handler shows what it does
 * not know.
 *
 * ```c
 * g_autoptr (EvpExceptionContext) context = evp_exception_context_new ("The cache is full");
 *
 * evp_exception_context_set_error (context, error);
 * evp_exception_context_set_string (context, "status", "dropping entries");
 * evp_event_loop_call_exception_handler (loop, context);
 * ```
 *
 * Fill it in before you give it away. After that any thread may read it, and nobody changes it.
 *
 * In asyncio this is the dictionary `context` of `loop.call_exception_handler()`.
 *
 * Since: 1.0
 */
struct _EvpExceptionContext
{
  gint ref_count; /* atomic */
  char *message;
  GError *error;
  EvpHandle *handle;
  EvpExceptionContext *context;
  GHashTable *strings; /* name → text; made when the first is set */
};

G_DEFINE_BOXED_TYPE (EvpExceptionContext, evp_exception_context,
                     evp_exception_context_ref, evp_exception_context_unref)

static int
evp_exception_context_compare_keys (gconstpointer a,
                                    gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Appends "\nkey: text"; further lines of the text are indented, so that a key starts each line. */
static void
evp_exception_context_append (GString    *string,
                              const char *key,
                              const char *text)
{
  gsize length = strlen (text);

  while (length > 0 && g_ascii_isspace (text[length - 1]))
    length--;
  g_string_append_printf (string, "\n%s: ", key);
  for (gsize i = 0; i < length; i++)
    {
      g_string_append_c (string, text[i]);
      if (text[i] == '\n')
        g_string_append (string, "  ");
    }
}

/**
 * evp_exception_context_new:
 * @message: (nullable): what failed, for people
 *
 * Creates a context.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): a new context
 *
 * Since: 1.0
 */
EvpExceptionContext *
evp_exception_context_new (const char *message)
{
  EvpExceptionContext *self = g_new0 (EvpExceptionContext, 1);

  self->ref_count = 1;
  self->message = g_strdup (message);
  return self;
}

/**
 * evp_exception_context_ref:
 * @self: context
 *
 * Takes a reference.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): the same context
 *
 * Since: 1.0
 */
EvpExceptionContext *
evp_exception_context_ref (EvpExceptionContext *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_int_inc (&self->ref_count);
  return self;
}

/**
 * evp_exception_context_unref:
 * @self: (transfer full): context
 *
 * Gives a reference back; the last one frees the context.
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_exception_context_unref (EvpExceptionContext *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  g_free (self->message);
  g_clear_error (&self->error);
  g_clear_pointer (&self->handle, evp_handle_unref);
  g_clear_pointer (&self->context, evp_exception_context_unref);
  g_clear_pointer (&self->strings, g_hash_table_unref);
  g_free (self);
}

/**
 * evp_exception_context_get_message:
 * @self: context
 *
 * Gets what failed, for people.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (nullable): the message
 *
 * Since: 1.0
 */
const char *
evp_exception_context_get_message (EvpExceptionContext *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->message;
}

/**
 * evp_exception_context_get_error:
 * @self: context
 *
 * Gets the error, which asyncio calls `exception`.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none) (nullable): the error
 *
 * Since: 1.0
 */
const GError *
evp_exception_context_get_error (EvpExceptionContext *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->error;
}

/**
 * evp_exception_context_set_error:
 * @self: context
 * @error: (nullable): the error
 *
 * Stores a copy of an error under the key `exception`.
 *
 * Use it from the thread that made the context, before giving it away. O(1).
 *
 * Since: 1.0
 */
void
evp_exception_context_set_error (EvpExceptionContext *self,
                                 const GError        *error)
{
  GError *old;

  g_return_if_fail (self != NULL);

  old = g_steal_pointer (&self->error);
  self->error = error != NULL ? g_error_copy (error) : NULL;
  g_clear_error (&old);
}

/**
 * evp_exception_context_get_handle:
 * @self: context
 *
 * Gets the handle whose callback failed.
 *
 * May be called from any thread; the handle itself belongs to the thread of its loop. That of a
 * timer can be cast to [struct@Evp.TimerHandle] in C. O(1).
 *
 * Returns: (transfer none) (nullable): the handle
 *
 * Since: 1.0
 */
EvpHandle *
evp_exception_context_get_handle (EvpExceptionContext *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->handle;
}

/**
 * evp_exception_context_set_handle:
 * @self: context
 * @handle: (nullable): the handle whose callback failed
 *
 * Stores a reference to a handle under the key `handle`.
 *
 * Use it from the thread that made the context, before giving it away. O(1).
 *
 * Since: 1.0
 */
void
evp_exception_context_set_handle (EvpExceptionContext *self,
                                  EvpHandle           *handle)
{
  EvpHandle *old;

  g_return_if_fail (self != NULL);

  old = g_steal_pointer (&self->handle);
  self->handle = handle != NULL ? evp_handle_ref (handle) : NULL;
  g_clear_pointer (&old, evp_handle_unref);
}

/**
 * evp_exception_context_get_context:
 * @self: context
 *
 * Gets the context that an exception handler failed to handle.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none) (nullable): the original context
 *
 * Since: 1.0
 */
EvpExceptionContext *
evp_exception_context_get_context (EvpExceptionContext *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->context;
}

/**
 * evp_exception_context_set_context:
 * @self: context
 * @context: (nullable): the context that an exception handler failed to handle
 *
 * Stores a reference to another context under the key `context`.
 *
 * It must not lead back to this one. Use it from the thread that made the context, before giving it away.
 * O(1).
 *
 * Since: 1.0
 */
void
evp_exception_context_set_context (EvpExceptionContext *self,
                                   EvpExceptionContext *context)
{
  EvpExceptionContext *old;

  g_return_if_fail (self != NULL);
  for (EvpExceptionContext *inner = context; inner != NULL; inner = inner->context)
    g_return_if_fail (inner != self);

  old = g_steal_pointer (&self->context);
  self->context = context != NULL ? evp_exception_context_ref (context) : NULL;
  g_clear_pointer (&old, evp_exception_context_unref);
}

/**
 * evp_exception_context_get_string:
 * @self: context
 * @key: name of the text
 *
 * Gets a text.
 *
 * The key `message` gives the message; error, handle and context are not texts and have getters
 * of their own.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (nullable): the text, or %NULL if there is none
 *
 * Since: 1.0
 */
const char *
evp_exception_context_get_string (EvpExceptionContext *self,
                                  const char          *key)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (key != NULL, NULL);

  if (strcmp (key, "message") == 0)
    return self->message;
  return self->strings != NULL ? g_hash_table_lookup (self->strings, key) : NULL;
}

/**
 * evp_exception_context_set_string:
 * @self: context
 * @key: name of the text
 * @value: (nullable): the text, or %NULL to remove it
 *
 * Stores a copy of a text, in place of what had that name before.
 *
 * Any name will do; the usual ones are told in the description of the type. Under `exception`,
 * `handle` or `context` a text stands in for a thing that is not at hand: it is shown unless the
 * thing itself is set.
 *
 * Use it from the thread that made the context, before giving it away. O(1).
 *
 * Since: 1.0
 */
void
evp_exception_context_set_string (EvpExceptionContext *self,
                                  const char          *key,
                                  const char          *value)
{
  g_return_if_fail (self != NULL);
  g_return_if_fail (key != NULL && *key != '\0');

  if (strcmp (key, "message") == 0)
    {
      evp_set_string (&self->message, value);
      return;
    }
  if (value == NULL)
    {
      if (self->strings != NULL)
        g_hash_table_remove (self->strings, key);
      return;
    }
  if (self->strings == NULL)
    self->strings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_replace (self->strings, g_strdup (key), g_strdup (value));
}

/**
 * evp_exception_context_get_keys:
 * @self: context
 *
 * Lists the names of everything that is set, sorted.
 *
 * The message is called `message`, the error `exception`, the handle `handle` and the original
 * context `context`.
 *
 * May be called from any thread. O(n log n).
 *
 * Returns: (transfer full) (array zero-terminated=1): the names
 *
 * Since: 1.0
 */
char **
evp_exception_context_get_keys (EvpExceptionContext *self)
{
  GPtrArray *keys;

  g_return_val_if_fail (self != NULL, NULL);

  keys = g_ptr_array_new ();
  if (self->strings != NULL)
    {
      GHashTableIter iter;
      gpointer key;

      g_hash_table_iter_init (&iter, self->strings);
      while (g_hash_table_iter_next (&iter, &key, NULL))
        g_ptr_array_add (keys, g_strdup (key));
    }
  const struct
  {
    const char *key;
    gconstpointer value;
  } typed[] = {
    { "message", self->message },
    { "exception", self->error },
    { "handle", self->handle },
    { "context", self->context },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (typed); i++)
    if (typed[i].value != NULL
        && (self->strings == NULL || !g_hash_table_contains (self->strings, typed[i].key)))
      g_ptr_array_add (keys, g_strdup (typed[i].key));
  g_ptr_array_sort (keys, evp_exception_context_compare_keys);
  g_ptr_array_add (keys, NULL);
  return (char **) g_ptr_array_free (keys, FALSE);
}

/**
 * evp_exception_context_to_string:
 * @self: context
 *
 * Describes the failure as the default exception handler logs it.
 *
 * The first line is the message, or a generic one; then comes a line for each other key, sorted by
 * name; then the error. Further lines of a text are indented.
 *
 * Call it on the thread of the loop if there is a handle in it, else from any thread.
 * O(n) in the length of the text.
 *
 * Returns: (transfer full): the description, without a newline at its end
 *
 * Since: 1.0
 */
char *
evp_exception_context_to_string (EvpExceptionContext *self)
{
  g_auto (GStrv) keys = NULL;
  GString *string;

  g_return_val_if_fail (self != NULL, NULL);

  string = g_string_new (self->message != NULL ? self->message
                                               : _("Unhandled exception in event loop"));
  keys = evp_exception_context_get_keys (self);
  for (guint i = 0; keys[i] != NULL; i++)
    {
      g_autofree char *made = NULL;
      const char *text;

      if (strcmp (keys[i], "message") == 0 || strcmp (keys[i], "exception") == 0)
        continue;
      if (strcmp (keys[i], "handle") == 0 && self->handle != NULL)
        text = made = evp_handle_describe (self->handle);
      else if (strcmp (keys[i], "context") == 0 && self->context != NULL)
        text = made = evp_exception_context_to_string (self->context);
      else
        text = evp_exception_context_get_string (self, keys[i]);
      evp_exception_context_append (string, keys[i], text);
    }

  if (self->error != NULL)
    {
      g_autofree char *text = g_strdup_printf ("%s (%s, %d)", self->error->message,
                                               g_quark_to_string (self->error->domain),
                                               self->error->code);

      evp_exception_context_append (string, "exception", text);
    }
  else
    {
      const char *text = evp_exception_context_get_string (self, "exception");

      if (text != NULL)
        evp_exception_context_append (string, "exception", text);
    }
  return g_string_free (string, FALSE);
}
