/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-signal-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-fork-private.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_SYS_EVENTFD_H
# include <sys/eventfd.h>
#endif

/*
 * How handler and subscribers get along without a lock that the handler could not take:
 *
 * Each signal has a list of subscriptions that is only changed under `table_lock`. The handler
 * walks it without the lock, but counts itself in `running` while it does. Whoever removes a
 * subscription unlinks it first and then waits until no handler of that signal runs: from then on
 * nobody can reach the subscription, and what it points to may be freed and closed.
 *
 * After a fork() the lists are copies, and the descriptors are shared with the parent. The handler
 * therefore passes by every subscriber that was made in another process.
 */

#ifdef SIGRTMAX
# define N_SIGNALS 128 /* more than any Unix has; SIGRTMAX is not a constant */
#else
# define N_SIGNALS NSIG
#endif

typedef struct _Subscription Subscription;

/* A handler that was there before ours. Never changed; freed when no handler of the signal runs. */
typedef struct
{
  void (*with_info) (int        signum,
                     siginfo_t *info,
                     void      *context);
  void (*plain)     (int        signum);
  gboolean no_stops; /* it asked for SA_NOCLDSTOP */
} Chain;

struct _EvpOsSignalSubscriber
{
  /* constant */
  int fd;
  int write_fd; /* the same for an eventfd */
  pid_t owner;
  guint owner_generation;

  guint counts[N_SIGNALS]; /* atomic; the handler adds */
};

struct _Subscription
{
  EvpOsSignalSubscriber *subscriber;
  Subscription *next; /* atomic */
};

typedef struct
{
  Subscription *subscriptions; /* atomic; changed under table_lock, read by the handler */
  Chain *chain;                /* atomic; likewise; (nullable): whom to call after us */
  Chain *nested_chain;         /* atomic; likewise; for a call that comes from the one in `chain` */
  int running;                 /* atomic; handlers that read the three above right now */

  /* under table_lock */
  gboolean installed;
  struct sigaction previous;
} TableEntry;

static GMutex table_lock; /* protects changes of the table, never taken by the handler */
static TableEntry table[N_SIGNALS];

/*
 * How deep this thread is in handlers that we chained to, and how far from our frame the outermost of these calls was
 * given its arguments. In the static TLS block, as the handler must not allocate.
 */
typedef struct
{
  int depth;
  guintptr info_distance;
  guintptr context_distance;
} ChainState;

static __thread ChainState chain_state __attribute__ ((tls_model ("initial-exec")));

static void
wake (const EvpOsSignalSubscriber *self)
{
  guint64 one = 1;
  gssize written;

  /* a full channel is readable anyway; the counters hold the truth */
  do
    written = write (self->write_fd, &one, self->write_fd == self->fd ? sizeof one : 1);
  while (written < 0 && errno == EINTR);
}

/*
 * Whether @new is a delivery of its own: the kernel puts its arguments as near to our frame as it did for @outer, which
 * a handler that passes them on cannot do. It matters after a chained handler has left by siglongjmp(): nobody has told
 * us, and nothing else tells what comes next from a call of that handler's.
 */
static inline gboolean
is_delivery (const ChainState *outer,
             const ChainState *new)
{
  return outer->depth == 0
         || (outer->info_distance == new->info_distance && outer->context_distance == new->context_distance);
}

/* The C handler. Async-signal-safe: atomics, getpid(), write(), and what others installed before us. */
static void
signal_cb (int        signum,
           siginfo_t *info,
           void      *context)
{
  int saved_errno = errno;
  TableEntry *entry = &table[signum];
  pid_t pid = getpid ();
  const ChainState outer = chain_state;
  ChainState state = {
    .info_distance = (guintptr) info - (guintptr) __builtin_frame_address (0),
    .context_distance = (guintptr) context - (guintptr) __builtin_frame_address (0),
  };
  /* only SIGCHLD is passed on: any other signal that arrives meanwhile is not nested in anything */
  int depth = signum == SIGCHLD && !is_delivery (&outer, &state) ? outer.depth : 0;
  Chain *current;
  Chain chain = { NULL };

  g_atomic_int_inc (&entry->running);
  /* a nested call is the same delivery once more */
  if (depth == 0)
    for (Subscription *s = g_atomic_pointer_get (&entry->subscriptions); s != NULL; s = g_atomic_pointer_get (&s->next))
      if (s->subscriber->owner == pid && s->subscriber->owner_generation == evp_os_fork_generation ())
        {
          g_atomic_int_inc (&s->subscriber->counts[signum]);
          wake (s->subscriber);
        }
  current = g_atomic_pointer_get (depth == 0 ? &entry->chain : &entry->nested_chain);
  if (current != NULL && depth < 2)
    chain = *current;
  /* counted out before the foreign handler is called: it may take long, or never come back */
  (void) g_atomic_int_dec_and_test (&entry->running);

  if (chain.no_stops
      && (info->si_code == CLD_STOPPED || info->si_code == CLD_CONTINUED || info->si_code == CLD_TRAPPED))
    chain = (Chain) { NULL };
  if (chain.with_info != NULL || chain.plain != NULL)
    {
      if (depth > 0)
        state = outer;
      state.depth = depth + 1;
      chain_state = state;
      errno = saved_errno;
      if (chain.with_info != NULL)
        chain.with_info (signum, info, context);
      else
        chain.plain (signum);
      chain_state = outer;
    }
  errno = saved_errno;
}

static gboolean
is_ours (const struct sigaction *action)
{
  return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == signal_cb;
}

static gboolean
is_function (const struct sigaction *action)
{
  return (action->sa_flags & SA_SIGINFO) != 0
         || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

/* Without a lock held by somebody who is gone, the child could not unsubscribe what it has inherited. */
static void
before_fork_cb (void)
{
  g_mutex_lock (&table_lock);
}

static void
after_fork_in_parent_cb (void)
{
  g_mutex_unlock (&table_lock);
}

static void
after_fork_in_child_cb (void)
{
  /* the threads whose handlers ran are not here */
  for (int i = 0; i < N_SIGNALS; i++)
    g_atomic_int_set (&table[i].running, 0);
  g_mutex_unlock (&table_lock);
}

/* No handler interrupts us while we hold the lock: what is chained to it is foreign code. */
static void
lock_table (sigset_t *mask)
{
  static gsize registered = 0;
  sigset_t all;

  if (g_once_init_enter (&registered))
    {
      pthread_atfork (before_fork_cb, after_fork_in_parent_cb, after_fork_in_child_cb);
      g_once_init_leave (&registered, 1);
    }
  sigfillset (&all);
  pthread_sigmask (SIG_BLOCK, &all, mask);
  g_mutex_lock (&table_lock);
}

static void
unlock_table (const sigset_t *mask)
{
  g_mutex_unlock (&table_lock);
  pthread_sigmask (SIG_SETMASK, mask, NULL);
}

static Subscription *
find_subscription (TableEntry            *entry,
                   EvpOsSignalSubscriber *self)
{
  for (Subscription *s = entry->subscriptions; s != NULL; s = s->next)
    if (s->subscriber == self)
      return s;
  return NULL;
}

/* Until no handler can hold a pointer that it read before we changed the list. */
static void
wait_for_handlers (TableEntry *entry)
{
  const struct timespec moment = { .tv_nsec = 50 * 1000 };

  for (int tries = 0; g_atomic_int_get (&entry->running) > 0; tries++)
    if (tries < 100)
      sched_yield ();
    else
      nanosleep (&moment, NULL); /* its thread may need our CPU, whatever our priorities are */
}

/* Replaces one of the two chains; the handler may be running. Under table_lock. */
static void
set_chain (TableEntry *entry,
           Chain     **chain,
           Chain      *value)
{
  Chain *old = *chain;

  if (old == value)
    return;
  g_atomic_pointer_set (chain, value);
  if (old != NULL && old != entry->chain && old != entry->nested_chain)
    {
      wait_for_handlers (entry);
      g_free (old);
    }
}

/* Remembers what to put back, and whom to call after us. Under table_lock. */
static void
remember_previous (TableEntry             *entry,
                   int                     signum,
                   const struct sigaction *previous)
{
  Chain *chain = NULL;

  entry->previous = *previous;
  if (signum == SIGCHLD && is_function (previous))
    {
      chain = g_new0 (Chain, 1);
      if ((previous->sa_flags & SA_SIGINFO) != 0)
        chain->with_info = previous->sa_sigaction;
      else
        chain->plain = previous->sa_handler;
      chain->no_stops = (previous->sa_flags & SA_NOCLDSTOP) != 0;
    }
  set_chain (entry, &entry->chain, chain);
}

/* 0 or an errno; under table_lock. */
static int
install (TableEntry *entry,
         int         signum)
{
  struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK, .sa_sigaction = signal_cb };
  struct sigaction previous, replaced;

  if (sigaction (signum, NULL, &previous) < 0)
    return errno;
  if (is_ours (&previous))
    {
      /* left behind by a foreign handler that put back what it had found; what was before us is still known */
      entry->installed = TRUE;
      return 0;
    }

  sigemptyset (&action.sa_mask);
  if (signum == SIGCHLD && is_function (&previous))
    action.sa_mask = previous.sa_mask;

  /*
   * The chain is complete before the first signal can come. If a foreign handler was put over ours, it
   * may call us: then it gets, within that call, the one whom we called before.
   */
  if (entry->nested_chain == NULL)
    set_chain (entry, &entry->nested_chain, entry->chain);
  remember_previous (entry, signum, &previous);
  if (sigaction (signum, &action, &replaced) < 0)
    {
      int saved_errno = errno;

      set_chain (entry, &entry->chain, NULL);
      return saved_errno;
    }
  /* another thread was quicker */
  if (replaced.sa_flags != previous.sa_flags || replaced.sa_sigaction != previous.sa_sigaction)
    remember_previous (entry, signum, &replaced);
  entry->installed = TRUE;
  return 0;
}

/* FALSE if somebody else's handler is there now, which we leave alone. Under table_lock. */
static gboolean
uninstall (TableEntry *entry,
           int         signum)
{
  struct sigaction current;

  entry->installed = FALSE;
  if (sigaction (signum, NULL, &current) < 0 || !is_ours (&current))
    /* the chain stays: the foreign handler may call us, and we owe that call to the one before us */
    return FALSE;
  sigaction (signum, &entry->previous, NULL);
  set_chain (entry, &entry->chain, NULL);
  set_chain (entry, &entry->nested_chain, NULL);
  return TRUE;
}

/* Under table_lock. */
static gboolean
remove_subscription (EvpOsSignalSubscriber *self,
                     int                    signum,
                     gboolean              *foreign)
{
  TableEntry *entry = &table[signum];
  Subscription *subscription = find_subscription (entry, self);
  Subscription **link;

  if (subscription == NULL)
    return FALSE;

  for (link = &entry->subscriptions; *link != subscription; link = &(*link)->next)
    ;
  /* first the disposition: with the default back, no signal falls between two stools */
  if (entry->subscriptions == subscription && subscription->next == NULL && entry->installed)
    *foreign = !uninstall (entry, signum);
  g_atomic_pointer_set (link, subscription->next);
  wait_for_handlers (entry);
  g_free (subscription);
  g_atomic_int_set (&self->counts[signum], 0);
  return TRUE;
}

static void
warn_foreign (int signum)
{
  evp_warn_runtime (_("The handler of signal %d (%s) was replaced by other code, which is left in place; "
                      "signals may have been missed"),
                    signum, g_strsignal (signum));
}

EvpOsSignalSubscriber *
evp_os_signal_subscriber_new (GError **error)
{
  int fds[2] = { EVP_FD_NONE, EVP_FD_NONE };
  EvpOsSignalSubscriber *self;

#ifdef HAVE_SYS_EVENTFD_H
  fds[0] = fds[1] = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
#endif
  if (fds[0] < 0 && !evp_os_fd_pipe (fds, TRUE, error))
    return NULL;

  self = g_new0 (EvpOsSignalSubscriber, 1);
  self->fd = fds[0];
  self->write_fd = fds[1];
  self->owner = getpid ();
  self->owner_generation = evp_os_fork_generation ();
  return self;
}

void
evp_os_signal_subscriber_free (EvpOsSignalSubscriber *self)
{
  g_return_if_fail (self != NULL);

  for (int i = 1; i < N_SIGNALS; i++)
    if (evp_os_signal_is_valid (i))
      evp_os_signal_unsubscribe (self, i);
  if (self->write_fd != self->fd)
    evp_os_fd_close (self->write_fd);
  evp_os_fd_close (self->fd);
  g_free (self);
}

int
evp_os_signal_subscriber_get_fd (EvpOsSignalSubscriber *self)
{
  return self->fd;
}

gboolean
evp_os_signal_subscribe (EvpOsSignalSubscriber *self,
                         int                    signum,
                         GError               **error)
{
  sigset_t mask;
  int failure = 0;
  TableEntry *entry;
  Subscription *subscription;
  struct sigaction current;

  g_return_val_if_fail (self != NULL, FALSE);

  if (!evp_os_signal_is_valid (signum))
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                   _("There is no signal %d that a program may use"), signum);
      return FALSE;
    }
  if (self->owner != getpid () || self->owner_generation != evp_os_fork_generation ())
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_FORKED,
                   _("Signal %d cannot be handled here: this belongs to the process from before the fork"), signum);
      return FALSE;
    }

  entry = &table[signum];
  subscription = g_new0 (Subscription, 1);
  subscription->subscriber = self;

  lock_table (&mask);
  if (find_subscription (entry, self) != NULL)
    {
      unlock_table (&mask);
      g_free (subscription);
      return TRUE;
    }
  /* on the list before the handler is there, so that the very first signal finds us */
  subscription->next = entry->subscriptions;
  g_atomic_pointer_set (&entry->subscriptions, subscription);
  /* a foreign handler in our place would leave the new subscriber deaf, so ours goes in front of it again */
  if (!entry->installed || sigaction (signum, NULL, &current) < 0 || !is_ours (&current))
    failure = install (entry, signum);
  if (failure != 0)
    {
      g_atomic_pointer_set (&entry->subscriptions, subscription->next);
      wait_for_handlers (entry);
    }
  unlock_table (&mask);

  if (failure != 0)
    {
      g_free (subscription);
      evp_set_error_from_errno (error, failure,
                                /* Translators: the name of the signal follows in parentheses */
                                _("Signal %d (%s) cannot be caught"), signum, g_strsignal (signum));
      return FALSE;
    }
  EVP_DEBUG_NOTE (EVP_DEBUG_SIGNAL, "signal %d: subscribed by %p", signum, (gpointer) self);
  return TRUE;
}

gboolean
evp_os_signal_unsubscribe (EvpOsSignalSubscriber *self,
                           int                    signum)
{
  gboolean foreign = FALSE;
  gboolean removed;
  sigset_t mask;

  g_return_val_if_fail (self != NULL, FALSE);

  if (!evp_os_signal_is_valid (signum))
    return FALSE;

  lock_table (&mask);
  removed = remove_subscription (self, signum, &foreign);
  unlock_table (&mask);

  if (foreign)
    warn_foreign (signum);
  if (removed)
    EVP_DEBUG_NOTE (EVP_DEBUG_SIGNAL, "signal %d: no longer subscribed by %p", signum, (gpointer) self);
  return removed;
}

void
evp_os_signal_drain (EvpOsSignalSubscriber *self)
{
  guint64 buffer[8];
  gssize n;

  g_return_if_fail (self != NULL);

  /* one read empties an eventfd, a pipe is empty when less came than was asked for */
  do
    n = read (self->fd, buffer, sizeof buffer);
  while ((n < 0 && errno == EINTR) || n == (gssize) sizeof buffer);
}

guint
evp_os_signal_take_count (EvpOsSignalSubscriber *self,
                          int                    signum)
{
  g_return_val_if_fail (self != NULL, 0);

  if (!evp_os_signal_is_valid (signum) || g_atomic_int_get (&self->counts[signum]) == 0)
    return 0;
  return g_atomic_int_and (&self->counts[signum], 0);
}

gboolean
evp_os_signal_is_valid (int signum)
{
  if (signum < 1 || signum >= N_SIGNALS)
    return FALSE;
#ifdef SIGRTMAX
  /* between the classic ones and SIGRTMIN the C library keeps some for itself */
  return signum < MIN (32, SIGRTMIN) || (signum >= SIGRTMIN && signum <= SIGRTMAX);
#else
  return TRUE;
#endif
}

gboolean
evp_os_signal_is_installed (int signum)
{
  struct sigaction current;

  return evp_os_signal_is_valid (signum) && sigaction (signum, NULL, &current) == 0 && is_ours (&current);
}

gboolean
evp_os_signal_is_default (int signum)
{
  struct sigaction current;

  return evp_os_signal_is_valid (signum) && sigaction (signum, NULL, &current) == 0
         && (current.sa_flags & SA_SIGINFO) == 0 && current.sa_handler == SIG_DFL;
}
