/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "fuzz/fuzz-random.h"
#include "net/net-loops.h"

#include <errno.h>
#include <math.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Random operations on a loop, from outside and from its callbacks, beside a model of what has to
 * happen: which callback is the next one to run, and that nothing is run twice, late, after it was
 * cancelled or not at all, nor released twice or never.
 */

#define N_PAIRS 4
#define N_TURNS 60
#define MAX_ITEMS 3000 /* of one round: callbacks make further ones, and there has to be an end */

typedef struct _Model Model;

typedef enum
{
  SOON,
  TIMER,
  READER,
  WRITER,
} Kind;

/* A callback that the loop was given. */
typedef struct
{
  Model *model;
  Kind kind;
  guint id;
  guint pair, end;       /* READER, WRITER */
  double when;           /* TIMER */
  EvpHandle *handle;     /* SOON */
  EvpTimerHandle *timer; /* TIMER */
  gboolean cancelled;    /* must not run any more */
  gboolean was_ready;    /* READER: there was something to read since it was added */
  guint turn;            /* in which it was made */
  gboolean inside;       /* made by a callback */
  guint n_runs;
  guint n_released;
} Item;

typedef struct
{
  int fd;
  gsize n_bytes; /* that can be read here */
  Item *reader, *writer;
} End;

struct _Model
{
  GRand *rand;
  const NetLoop *kind;
  EvpAbstractEventLoop *loop;
  GMainContext *context;
  GPtrArray *items;  /* all of the round */
  GPtrArray *soon;   /* borrowed: queued, in order */
  GPtrArray *timers; /* borrowed: pending, in the order of scheduling */
  End ends[N_PAIRS][2];
  double time; /* of the loop, when the round began */
  guint turn;
  gboolean in_turn;
  gboolean settling; /* callbacks do nothing further */
  gboolean closing;
};

static void model_act (Model *model);

static Item *
item_new (Model *model,
          Kind   kind)
{
  Item *self = g_new0 (Item, 1);

  self->model = model;
  self->kind = kind;
  self->id = model->items->len;
  self->turn = model->turn;
  self->inside = model->in_turn;
  g_ptr_array_add (model->items, self);
  return self;
}

static void
item_free (gpointer data)
{
  Item *self = data;

  g_clear_pointer (&self->handle, evp_handle_unref);
  g_clear_pointer (&self->timer, evp_timer_handle_unref);
  g_free (self);
}

static void
item_released (gpointer data)
{
  Item *self = data;

  g_assert_cmpuint (self->n_released, ==, 0);
  self->n_released++;
}

static gboolean
is_due (Item *item)
{
  return item->when <= item->model->time;
}

/* The next one of a list that has not been cancelled. */
static Item *
first_living (GPtrArray *list)
{
  while (list->len > 0 && ((Item *) list->pdata[0])->cancelled)
    g_ptr_array_remove_index (list, 0);
  return list->len > 0 ? list->pdata[0] : NULL;
}

/* A callback of this very turn: where the loop was asked to stop already, the next turn is its. */
static gboolean
is_too_new (Item *item)
{
  return item->inside && item->turn == item->model->turn && !item->model->kind->adopted;
}

static void
check_timer_order (Item *self)
{
  for (guint i = 0; i < self->model->timers->len; i++)
    {
      Item *other = self->model->timers->pdata[i];

      g_assert_false (other->when == self->when && other->id < self->id);
      /* made one after the other, with no turn in between */
      if (!self->inside && !other->inside && self->turn == other->turn)
        g_assert_cmpfloat (other->when, >=, self->when);
    }
}

static void
item_runs (Item *self)
{
  Model *model = self->model;

  g_assert_true (model->in_turn);
  g_assert_false (model->closing);
  g_assert_false (self->cancelled);
  g_assert_cmpuint (self->n_released, ==, 0);
  self->n_runs++;
  switch (self->kind)
    {
    case SOON:
      g_assert_false (is_too_new (self));
      g_assert_true (first_living (model->soon) == self);
      g_ptr_array_remove_index (model->soon, 0);
      break;
    case READER:
      g_assert_true (self->was_ready);
      break;
    case WRITER:
      break;
    case TIMER:
    default:
      g_assert_true (is_due (self));
      g_assert_false (is_too_new (self));
      g_assert_true (g_ptr_array_remove (model->timers, self));
      check_timer_order (self);
      break;
    }
  if (self->kind == SOON || self->kind == TIMER)
    g_assert_cmpuint (self->n_runs, ==, 1);

  if (!model->settling)
    for (guint n = fuzz_below (model->rand, 3); n > 0; n--)
      model_act (model);
}

static void
item_cb (gpointer user_data)
{
  item_runs (user_data);
}

static void
item_fd_cb (int      fd,
            gpointer user_data)
{
  Item *self = user_data;

  g_assert_cmpint (fd, ==, self->model->ends[self->pair][self->end].fd);
  item_runs (self);
}

/* It is gone: from now on it does not run, and its data has been released. */
static void
item_is_gone (Item *self)
{
  self->cancelled = TRUE;
  g_assert_cmpuint (self->n_released, ==, 1);
}

/* Operations */

static void
act_soon (Model *model)
{
  Item *item = item_new (model, SOON);
  g_autoptr (GError) error = NULL;
  EvpHandle *handle = evp_event_loop_call_soon (model->loop, item_cb, item, item_released, &error);

  g_assert_no_error (error);
  item->handle = evp_handle_ref (handle);
  g_ptr_array_add (model->soon, item);
}

static void
act_timer (Model *model)
{
  Item *item = item_new (model, TIMER);
  g_autoptr (GError) error = NULL;
  EvpTimerHandle *timer;

  switch (fuzz_below (model->rand, 4))
    {
    case 0: /* some at the same time */
      item->when = model->time - 1 - fuzz_below (model->rand, 5);
      break;
    case 1:
      item->when = model->time - g_rand_double_range (model->rand, 0, 100);
      break;
    case 2:
      item->when = model->time + 1000 + fuzz_below (model->rand, 10000);
      break;
    default:
      item->when = fuzz_below (model->rand, 2) == 0 ? HUGE_VAL : -HUGE_VAL;
      break;
    }
  timer = evp_event_loop_call_at (model->loop, item->when, item_cb, item, item_released, &error);
  g_assert_no_error (error);
  item->timer = evp_timer_handle_ref (timer);
  g_ptr_array_add (model->timers, item);
}

static void
act_cancel (Model *model)
{
  Item *item;
  gboolean over;

  if (model->items->len == 0)
    return;
  /* rather a late one: the others have run */
  item = model->items->pdata[model->items->len - 1 - fuzz_below (model->rand, MIN (model->items->len, 40))];
  over = item->cancelled || item->n_released > 0;
  if (item->handle != NULL)
    {
      gboolean running = item->n_runs > 0 && item->n_released == 0;

      evp_handle_cancel (item->handle);
      g_assert_true (evp_handle_cancelled (item->handle));
      if (!over && !running)
        item_is_gone (item);
    }
  else if (item->timer != NULL)
    {
      gboolean running = item->n_runs > 0 && item->n_released == 0;

      evp_timer_handle_cancel (item->timer);
      g_assert_true (evp_timer_handle_cancelled (item->timer));
      if (!over && !running)
        item_is_gone (item);
      g_ptr_array_remove (model->timers, item);
    }
}

static void
act_add (Model *model)
{
  gboolean reader = fuzz_below (model->rand, 2) == 0;
  Item *item = item_new (model, reader ? READER : WRITER);
  g_autoptr (GError) error = NULL;
  Item **place, *former;
  End *end;

  item->pair = fuzz_below (model->rand, N_PAIRS);
  item->end = fuzz_below (model->rand, 2);
  end = &model->ends[item->pair][item->end];
  place = reader ? &end->reader : &end->writer;
  former = *place;
  if (reader)
    evp_event_loop_add_reader (model->loop, end->fd, item_fd_cb, item, item_released, &error);
  else
    evp_event_loop_add_writer (model->loop, end->fd, item_fd_cb, item, item_released, &error);
  g_assert_no_error (error);
  item->was_ready = end->n_bytes > 0;
  *place = item;
  /* the former one's data may still be in use, if it is its callback that replaces it */
  if (former != NULL)
    former->cancelled = TRUE;
}

static void
act_remove (Model *model)
{
  End *end = &model->ends[fuzz_below (model->rand, N_PAIRS)][fuzz_below (model->rand, 2)];
  gboolean reader = fuzz_below (model->rand, 2) == 0;
  Item **place = reader ? &end->reader : &end->writer;
  gboolean removed = reader ? evp_event_loop_remove_reader (model->loop, end->fd)
                            : evp_event_loop_remove_writer (model->loop, end->fd);

  g_assert_cmpint (removed, ==, *place != NULL);
  if (*place == NULL)
    return;
  (*place)->cancelled = TRUE;
  *place = NULL;
}

static void
act_put (Model *model)
{
  guint pair = fuzz_below (model->rand, N_PAIRS), end = fuzz_below (model->rand, 2);
  End *to = &model->ends[pair][end];

  if (to->n_bytes >= 100)
    return;
  g_assert_cmpint (send (model->ends[pair][1 - end].fd, "x", 1, MSG_NOSIGNAL), ==, 1);
  to->n_bytes++;
  if (to->reader != NULL)
    to->reader->was_ready = TRUE;
}

static void
act_get (Model *model)
{
  End *end = &model->ends[fuzz_below (model->rand, N_PAIRS)][fuzz_below (model->rand, 2)];
  char buffer[100];

  if (end->n_bytes == 0)
    return;
  g_assert_cmpint (recv (end->fd, buffer, sizeof buffer, 0), ==, (gssize) end->n_bytes);
  end->n_bytes = 0;
}

static void
model_act (Model *model)
{
  guint what = fuzz_below (model->rand, 100);

  if (what < 30 && model->items->len < MAX_ITEMS)
    act_soon (model);
  else if (what < 50 && model->items->len < MAX_ITEMS)
    act_timer (model);
  else if (what < 65)
    act_cancel (model);
  else if (what < 75 && model->items->len < MAX_ITEMS)
    act_add (model);
  else if (what < 83)
    act_remove (model);
  else if (what < 92)
    act_put (model);
  else if (what < 97)
    act_get (model);
  else if (!model->kind->adopted)
    evp_event_loop_stop (model->loop); /* it is asked to already */
}

/* What is due in a list: at most what was made in this turn, if @old_only. */
static guint
count_due (GPtrArray *list,
           gboolean   old_only)
{
  guint n = 0;

  for (guint i = 0; i < list->len; i++)
    {
      Item *item = list->pdata[i];

      if (!item->cancelled && (item->kind == SOON || is_due (item)) && !(old_only && is_too_new (item)))
        n++;
    }
  return n;
}

static void
model_turn (Model *model)
{
  g_autoptr (GError) error = NULL;

  model->in_turn = TRUE;
  if (model->kind->adopted)
    {
      g_main_context_iteration (model->context, FALSE);
    }
  else
    {
      evp_event_loop_stop (model->loop);
      g_assert_true (evp_event_loop_run_forever (model->loop, &error));
      g_assert_no_error (error);
    }
  model->in_turn = FALSE;

  /* somebody else's iteration may stand back, or end in the middle; a run does not */
  if (!model->kind->adopted)
    {
      g_assert_cmpuint (count_due (model->soon, TRUE), ==, 0);
      g_assert_cmpuint (count_due (model->timers, TRUE), ==, 0);
    }
  for (guint i = 0; i < model->items->len; i++)
    {
      Item *item = model->items->pdata[i];

      /* what is over is released, everything else is not */
      if (item->cancelled || ((item->kind == SOON || item->kind == TIMER) && item->n_runs > 0))
        g_assert_cmpuint (item->n_released, ==, 1);
      else
        g_assert_cmpuint (item->n_released, ==, 0);
    }
  model->turn++;
}

static gboolean
is_settled (Model       *model,
            const guint *n_runs)
{
  for (guint i = 0; i < N_PAIRS * 2; i++)
    {
      End *end = &model->ends[i / 2][i % 2];

      if ((end->reader != NULL && end->n_bytes > 0 && end->reader->n_runs == n_runs[2 * i])
          || (end->writer != NULL && end->writer->n_runs == n_runs[2 * i + 1]))
        return FALSE;
    }
  return count_due (model->soon, FALSE) == 0 && count_due (model->timers, FALSE) == 0;
}

/* Nothing that is ready is forgotten. */
static void
model_settle (Model *model)
{
  guint n_runs[N_PAIRS * 2 * 2] = { 0 };

  for (guint i = 0; i < N_PAIRS * 2; i++)
    {
      End *end = &model->ends[i / 2][i % 2];

      n_runs[2 * i] = end->reader != NULL ? end->reader->n_runs : 0;
      n_runs[2 * i + 1] = end->writer != NULL ? end->writer->n_runs : 0;
    }
  model->settling = TRUE;
  for (guint i = 0; i < 200 && !is_settled (model, n_runs); i++)
    model_turn (model);
  g_assert_true (is_settled (model, n_runs));
  model->settling = FALSE;
}

static void
round_cb (GRand        *rand,
          gconstpointer data)
{
  Model model = { .rand = rand, .kind = data };
  g_autoptr (GError) error = NULL;
  EvpTestLeaks leaks = evp_test_leaks_begin ();

  model.loop = model.kind->make (NULL);
  g_assert_nonnull (model.loop);
  model.context = evp_event_loop_dup_main_context (model.loop);
  model.time = evp_event_loop_time (model.loop);
  model.items = g_ptr_array_new_with_free_func (item_free);
  model.soon = g_ptr_array_new ();
  model.timers = g_ptr_array_new ();
  for (guint i = 0; i < N_PAIRS; i++)
    {
      int fds[2];

      g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
      model.ends[i][0].fd = fds[0];
      model.ends[i][1].fd = fds[1];
    }

  for (guint turn = 0; turn < N_TURNS; turn++)
    {
      for (guint n = fuzz_below (rand, 12); n > 0; n--)
        model_act (&model);
      model_turn (&model);
      if (turn % 10 == 9)
        model_settle (&model);
    }
  for (guint n = fuzz_below (rand, 30); n > 0; n--)
    model_act (&model);

  model.closing = TRUE;
  g_assert_true (evp_event_loop_close (model.loop, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < model.items->len; i++)
    g_assert_cmpuint (((Item *) model.items->pdata[i])->n_released, ==, 1);
  for (guint i = 0; i < N_PAIRS; i++)
    for (guint j = 0; j < 2; j++)
      g_assert_no_errno (close (model.ends[i][j].fd));
  g_ptr_array_unref (model.items);
  g_ptr_array_unref (model.soon);
  g_ptr_array_unref (model.timers);
  g_main_context_unref (model.context);
  g_assert_finalize_object (model.loop);
  evp_test_leaks_check (&leaks);
}

static FuzzArguments arguments;

/* Rules: I-3, I-4, C-1, C-7, C-8, C-9, C-10, C-11, C-12, F-1, F-2, F-4, F-14, F-16, F-17, L-3, L-4, L-5, L-13 */
static void
test_model (gconstpointer data)
{
  g_autoptr (EvpTestDeadline) deadline = arguments.rounds > 0 ? evp_test_deadline_start (100, "random sequences") : NULL;

  fuzz_rounds (&arguments, round_cb, data);
}

int
main (int    argc,
      char **argv)
{
  guint n;

  arguments = fuzz_init (&argc, &argv, 150);
  n = G_N_ELEMENTS (net_loops) - !evp_test_has_uring ();
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/fuzz/loop-model/%s", net_loops[i].name);

      g_test_add_data_func (path, &net_loops[i], test_model);
    }
  return g_test_run ();
}
