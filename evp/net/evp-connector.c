/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-connector-private.h"

#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-operation-private.h"

#include <errno.h>
#include <netinet/in.h>

/* A unix socket whose queue is full is tried again after 1 ms, then less and less often. */
#define MAX_DELAY_MS 64

struct _EvpConnector
{
  EvpAbstractEventLoop *loop;
  EvpConnectorFunc func;
  gpointer user_data;

  GPtrArray *addresses; /* of GSocketAddress */
  GPtrArray *locals;    /* the same; empty: the system chooses */
  double delay;
  int interleave;

  guint next;           /* index of the next address to try */
  GPtrArray *attempts;  /* of EvpAttempt, under way; borrowed */
  GPtrArray *errors;    /* of GError */
  EvpTimerHandle *timer;
  GSocket *winner;
  gboolean cancelled;
  gboolean ended;
};

typedef struct
{
  EvpConnector *connector; /* owned */
  GSocketAddress *address;
  GSocket *socket;
  EvpOperation *operation;
  EvpTimerHandle *timer; /* until the same is tried again */
  guint delay_ms;
} EvpAttempt;

typedef struct
{
  EvpAttempt *attempt; /* NULL once it was tried again */
} EvpRetry;

static void evp_connector_try_next (EvpConnector *self);

static void
evp_connector_clear (gpointer data)
{
  EvpConnector *self = data;

  g_ptr_array_unref (self->addresses);
  g_ptr_array_unref (self->locals);
  g_ptr_array_unref (self->attempts);
  g_ptr_array_unref (self->errors);
  g_clear_object (&self->winner);
  g_object_unref (self->loop);
}

static void
evp_connector_stop_timer (EvpConnector *self)
{
  EvpTimerHandle *timer = g_steal_pointer (&self->timer);

  if (timer == NULL)
    return;
  evp_timer_handle_cancel (timer);
  evp_timer_handle_unref (timer);
}

/* Whether another attempt may begin. */
static gboolean
evp_connector_wants_more (EvpConnector *self)
{
  return !self->cancelled && self->winner == NULL && self->next < self->addresses->len;
}

static void
evp_connector_check_end (EvpConnector *self)
{
  g_autoptr (GSocket) socket = NULL;
  GError *error = NULL;

  if (self->ended || self->attempts->len > 0 || evp_connector_wants_more (self))
    return;
  self->ended = TRUE;
  evp_connector_stop_timer (self);
  if (self->cancelled)
    error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, _("Operation was cancelled"));
  else if (self->winner == NULL)
    error = evp_connector_merge_errors (self->errors);
  else
    socket = g_steal_pointer (&self->winner);
  self->func (g_steal_pointer (&socket), error, self->user_data);
}

static void
evp_connector_cancel_attempts (EvpConnector *self)
{
  evp_connector_stop_timer (self);
  /* from the end: one that waits to be tried again ends, and leaves, at once */
  for (guint i = self->attempts->len; i-- > 0;)
    {
      EvpAttempt *attempt = g_ptr_array_index (self->attempts, i);

      if (attempt->timer != NULL)
        evp_timer_handle_cancel (attempt->timer);
      else
        evp_loop_cancel_operation (self->loop, attempt->operation);
    }
}

static void
evp_attempt_free (EvpAttempt *self)
{
  if (self->operation != NULL)
    {
      evp_loop_retire_operation (self->operation);
      evp_operation_unref (self->operation);
    }
  g_clear_object (&self->socket); /* and closes it, if nobody else has it */
  g_object_unref (self->address);
  evp_connector_unref (self->connector);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpAttempt, evp_attempt_free)

/* An attempt ends without a socket; without an error, too, if nobody asks for it any more. */
static void
evp_attempt_fail (EvpAttempt *failed,
                  GError     *error)
{
  g_autoptr (EvpAttempt) attempt = failed;
  g_autoptr (EvpConnector) self = evp_connector_ref (attempt->connector);

  g_ptr_array_remove_fast (self->attempts, attempt);
  if (error != NULL)
    g_ptr_array_add (self->errors, error);
  evp_connector_try_next (self);
  g_clear_pointer (&attempt, evp_attempt_free);
  evp_connector_check_end (self);
}

static void
evp_attempt_retry_cb (gpointer user_data)
{
  EvpRetry *retry = user_data;
  EvpAttempt *attempt = g_steal_pointer (&retry->attempt);
  GError *error = NULL;

  g_clear_pointer (&attempt->timer, evp_timer_handle_unref);
  if (!evp_loop_submit_operation (attempt->connector->loop, attempt->operation, &error))
    evp_attempt_fail (attempt, error);
}

/* After evp_attempt_retry_cb(), or instead of it: the attempt was cancelled, or the loop is closed. */
static void
evp_attempt_retry_free (gpointer user_data)
{
  EvpRetry *retry = user_data;
  EvpAttempt *attempt = retry->attempt;
  GError *error = NULL;

  g_free (retry);
  if (attempt == NULL)
    return;
  g_clear_pointer (&attempt->timer, evp_timer_handle_unref);
  if (!attempt->connector->cancelled && attempt->connector->winner == NULL)
    error = g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED, _("The event loop is closed; make a new one"));
  evp_attempt_fail (attempt, error);
}

/* The queue of a unix socket is full, which cannot be waited for. TRUE if the attempt goes on. */
static gboolean
evp_attempt_retry_later (EvpAttempt *self)
{
  const gssize result = self->operation->result;
  EvpAbstractEventLoop *loop = self->connector->loop;
  EvpTimerHandle *timer;
  EvpRetry *retry;

  if ((result != -EBUSY && result != -EAGAIN)
      || g_socket_address_get_family (self->address) != G_SOCKET_FAMILY_UNIX
      || self->connector->cancelled || self->connector->winner != NULL)
    return FALSE;
  self->delay_ms = self->delay_ms == 0 ? 1 : MIN (self->delay_ms * 2, MAX_DELAY_MS);
  retry = g_new (EvpRetry, 1);
  retry->attempt = self;
  timer = evp_event_loop_call_later (loop, self->delay_ms / 1000.0, evp_attempt_retry_cb, retry,
                                     evp_attempt_retry_free, NULL);
  if (timer != NULL) /* else it has failed already */
    self->timer = evp_timer_handle_ref (timer);
  return TRUE;
}

static void
evp_connector_connected_cb (EvpOperation *operation,
                            gpointer      user_data)
{
  EvpAttempt *attempt = user_data;
  g_autoptr (EvpConnector) self = evp_connector_ref (attempt->connector);
  g_autofree char *name = NULL;
  g_autofree char *what = NULL;
  GError *error = NULL;

  if (G_UNLIKELY (operation->result < 0) && evp_attempt_retry_later (attempt))
    return;
  name = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (attempt->address));
  /* Translators: %s is the address of a socket */
  what = g_strdup_printf (_("Cannot connect to %s"), name);
  /* the second check tells the GSocket that it is connected */
  if (!evp_loop_check_operation (self->loop, operation, what, &error)
      || !g_socket_check_connect_result (attempt->socket, &error))
    {
      evp_attempt_fail (attempt, error);
      return;
    }
  g_ptr_array_remove_fast (self->attempts, attempt);
  if (!self->cancelled && self->winner == NULL)
    {
      evp_loop_retire_operation (operation); /* whoever gets the socket registers it anew */
      self->winner = g_steal_pointer (&attempt->socket);
      evp_connector_cancel_attempts (self);
    }
  evp_attempt_free (attempt);
  evp_connector_check_end (self);
}

/* Binds to the first local address that can be had. */
static gboolean
evp_connector_bind (EvpConnector   *self,
                    EvpAttempt     *attempt,
                    GError        **error)
{
  GSocketFamily family = g_socket_address_get_family (attempt->address);
  g_autoptr (GPtrArray) errors = g_ptr_array_new_with_free_func ((GDestroyNotify) g_error_free);

  for (guint i = 0; i < self->locals->len; i++)
    {
      GSocketAddress *local = g_ptr_array_index (self->locals, i);
      GError *bind_error = NULL;

      if (g_socket_address_get_family (local) != family)
        continue;
#ifdef IP_BIND_ADDRESS_NO_PORT
      /* the port is chosen when the other end is known, and so can be one of another connection */
      if (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (local)) == 0)
        g_socket_set_option (attempt->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, NULL);
#endif
      if (g_socket_bind (attempt->socket, local, FALSE, &bind_error))
        return TRUE;
      g_ptr_array_add (errors, bind_error);
    }
  if (errors->len > 0)
    {
      g_propagate_error (error, evp_connector_merge_errors (errors));
      return FALSE;
    }
  if (self->locals->len > 0)
    {
      g_autofree char *name = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (attempt->address));

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                   /* Translators: %s is the address of a socket */
                   _("Cannot connect to %s: the local host has no address of its family"), name);
      return FALSE;
    }
  return TRUE;
}

/* Begins an attempt; fails if it is over already. */
static gboolean
evp_connector_try (EvpConnector   *self,
                   GSocketAddress *address,
                   GError        **error)
{
  g_autoptr (EvpAttempt) attempt = g_new0 (EvpAttempt, 1);

  attempt->connector = evp_connector_ref (self);
  attempt->address = g_object_ref (address);
  attempt->socket = g_socket_new (g_socket_address_get_family (address), G_SOCKET_TYPE_STREAM,
                                  G_SOCKET_PROTOCOL_DEFAULT, error);
  if (attempt->socket == NULL)
    return FALSE;
  g_socket_set_blocking (attempt->socket, FALSE);
  if (!evp_connector_bind (self, attempt, error))
    return FALSE;
  attempt->operation = evp_operation_new (EVP_OPERATION_CONNECT, g_socket_get_fd (attempt->socket),
                                          evp_connector_connected_cb, attempt);
  if (!evp_operation_set_address (attempt->operation, address, error)
      || !evp_loop_submit_operation (self->loop, attempt->operation, error))
    return FALSE;
  g_ptr_array_add (self->attempts, g_steal_pointer (&attempt));
  return TRUE;
}

/* Whether an attempt is over, and its end only not delivered yet: the loop was blocked, perhaps. */
static gboolean
evp_connector_is_answered (EvpConnector *self)
{
  for (guint i = 0; i < self->attempts->len; i++)
    {
      EvpAttempt *attempt = g_ptr_array_index (self->attempts, i);

      /* a unix socket is ready whatever becomes of it */
      if (g_socket_address_get_family (attempt->address) != G_SOCKET_FAMILY_UNIX
          && g_socket_condition_check (attempt->socket, G_IO_OUT | G_IO_ERR | G_IO_HUP) != 0)
        return TRUE;
    }
  return FALSE;
}

static void
evp_connector_timer_cb (gpointer user_data)
{
  EvpConnector *self = user_data;

  g_clear_pointer (&self->timer, evp_timer_handle_unref);
  /* an answer wins, or begins the next attempt */
  if (!evp_connector_is_answered (self))
    evp_connector_try_next (self);
  evp_connector_check_end (self);
}

static void
evp_connector_start_timer (EvpConnector *self)
{
  EvpTimerHandle *timer = evp_event_loop_call_later (self->loop, self->delay, evp_connector_timer_cb,
                                                     evp_connector_ref (self),
                                                     (GDestroyNotify) evp_connector_unref, NULL);

  if (timer != NULL) /* else the loop is closing, and so is everything */
    self->timer = evp_timer_handle_ref (timer);
}

/* Begins the next attempt that does not fail on the spot. */
static void
evp_connector_try_next (EvpConnector *self)
{
  evp_connector_stop_timer (self);
  while (evp_connector_wants_more (self))
    {
      GError *error = NULL;

      if (!evp_connector_try (self, g_ptr_array_index (self->addresses, self->next++), &error))
        {
          g_ptr_array_add (self->errors, error);
          continue;
        }
      if (self->delay > 0 && evp_connector_wants_more (self))
        evp_connector_start_timer (self);
      break;
    }
}

EvpConnector *
evp_connector_new (EvpAbstractEventLoop *loop,
                   EvpConnectorFunc      func,
                   gpointer              user_data)
{
  EvpConnector *self = g_rc_box_new0 (EvpConnector);

  self->loop = g_object_ref (loop);
  self->func = func;
  self->user_data = user_data;
  self->addresses = g_ptr_array_new_with_free_func (g_object_unref);
  self->locals = g_ptr_array_new_with_free_func (g_object_unref);
  self->attempts = g_ptr_array_new ();
  self->errors = g_ptr_array_new_with_free_func ((GDestroyNotify) g_error_free);
  self->interleave = -1;
  return self;
}

EvpConnector *
evp_connector_ref (EvpConnector *self)
{
  return g_rc_box_acquire (self);
}

void
evp_connector_unref (EvpConnector *self)
{
  g_rc_box_release_full (self, evp_connector_clear);
}

void
evp_connector_set_addresses (EvpConnector *self,
                             GList        *addresses)
{
  g_ptr_array_set_size (self->addresses, 0);
  for (; addresses != NULL; addresses = addresses->next)
    g_ptr_array_add (self->addresses, g_object_ref (addresses->data));
}

void
evp_connector_set_local_addresses (EvpConnector *self,
                                   GList        *addresses)
{
  g_ptr_array_set_size (self->locals, 0);
  for (; addresses != NULL; addresses = addresses->next)
    g_ptr_array_add (self->locals, g_object_ref (addresses->data));
}

void
evp_connector_set_happy_eyeballs (EvpConnector *self,
                                  double        delay,
                                  int           interleave)
{
  self->delay = delay;
  self->interleave = interleave;
}

void
evp_connector_start (EvpConnector *self)
{
  g_autoptr (EvpConnector) keep = evp_connector_ref (self);
  int interleave = self->interleave;

  if (interleave < 0)
    interleave = self->delay > 0 ? 1 : 0;
  if (interleave > 0)
    {
      GPtrArray *addresses = evp_connector_interleave (self->addresses, (guint) interleave);

      for (guint i = 0; i < addresses->len; i++)
        g_object_ref (g_ptr_array_index (addresses, i));
      g_ptr_array_unref (self->addresses);
      g_ptr_array_set_free_func (addresses, g_object_unref);
      self->addresses = addresses;
    }
  evp_connector_try_next (self);
  evp_connector_check_end (self);
}

void
evp_connector_cancel (EvpConnector *self)
{
  g_autoptr (EvpConnector) keep = evp_connector_ref (self);

  if (self->ended || self->cancelled)
    return;
  self->cancelled = TRUE;
  g_clear_object (&self->winner);
  evp_connector_cancel_attempts (self);
  evp_connector_check_end (self);
}

GPtrArray *
evp_connector_interleave (GPtrArray *addresses,
                          guint      first_count)
{
  g_autoptr (GPtrArray) groups = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);
  GPtrArray *result = g_ptr_array_new ();
  guint taken = 0;

  /* one group for each family, in the order of their first addresses */
  for (guint i = 0; i < addresses->len; i++)
    {
      GSocketAddress *address = g_ptr_array_index (addresses, i);
      GPtrArray *group = NULL;

      for (guint g = 0; g < groups->len && group == NULL; g++)
        {
          GPtrArray *other = g_ptr_array_index (groups, g);

          if (g_socket_address_get_family (g_ptr_array_index (other, 0)) == g_socket_address_get_family (address))
            group = other;
        }
      if (group == NULL)
        {
          group = g_ptr_array_new ();
          g_ptr_array_add (groups, group);
        }
      g_ptr_array_add (group, address);
    }

  if (groups->len > 0 && first_count > 1)
    {
      GPtrArray *first = g_ptr_array_index (groups, 0);

      taken = MIN (first_count - 1, first->len);
      for (guint i = 0; i < taken; i++)
        g_ptr_array_add (result, g_ptr_array_index (first, i));
    }
  for (guint round = 0; result->len < addresses->len; round++)
    for (guint g = 0; g < groups->len; g++)
      {
        GPtrArray *group = g_ptr_array_index (groups, g);
        guint i = round + (g == 0 ? taken : 0);

        if (i < group->len)
          g_ptr_array_add (result, g_ptr_array_index (group, i));
      }
  return result;
}

GError *
evp_connector_merge_errors (GPtrArray *errors)
{
  g_autoptr (GString) text = NULL;
  const GError *first, *last;
  gboolean equal = TRUE;

  if (errors->len == 0)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, _("There is no address to connect to"));
  first = g_ptr_array_index (errors, 0);
  last = g_ptr_array_index (errors, errors->len - 1);
  text = g_string_new (first->message);
  for (guint i = 1; i < errors->len; i++)
    {
      const GError *error = g_ptr_array_index (errors, i);

      equal = equal && g_str_equal (error->message, first->message);
      g_string_append_printf (text, "; %s", error->message);
    }
  if (equal)
    return g_error_copy (first);
  return g_error_new_literal (last->domain, last->code, text->str);
}
