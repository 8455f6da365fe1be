/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/tool/evp-tool-private.h"

G_BEGIN_DECLS

/* Whose costs are measured: a selector, a proactor or a watcher, or GLib itself. */
typedef struct
{
  const char *name; /* of its type: on the screen and in JSON */
  /* what it runs on; NULL: a GMainLoop, the yardstick */
  EvpAbstractEventLoop *(*new_loop) (GError **error);
  EvpAbstractChildWatcher *(*new_watcher) (void);
} EvpToolBenchSubject;

/* What the operations of one run have cost, all together. */
typedef struct
{
  double cpu, wall; /* ns */
} EvpToolBenchCost;

/*
 * Something to be done over and over. What is idle beside it is made once for all subjects, then each of them
 * is set up, runs, and is torn down in turn. Only what lies between start() and stop() is measured.
 */
typedef struct
{
  const char *key;       /* for --only and in JSON */
  const char *title;     /* to be translated */
  const char *operation; /* what the costs are for; to be translated */
  const char *load_name; /* what may be idle beside it, to be translated; NULL: nothing */
  guint loads[3];
  guint quick_load; /* in place of the later ones, when it shall be quick */
  guint n_loads;
  const EvpToolBenchSubject *subjects; /* the first is the yardstick; ends with a name of NULL */
  guint64 quick_n;                     /* operations of a run, when it shall be quick */
  guint64 fixed_n;                     /* otherwise; 0: as many as take a while */

  /* makes up to @load idle things, and tells how many there are; NULL: there is nothing idle */
  guint    (*begin)     (guint load);
  void     (*end)       (void);
  gpointer (*set_up)    (const EvpToolBenchSubject *subject,
                         GError                   **error);
  gboolean (*run)       (gpointer                   state,
                         guint64                    n,
                         EvpToolBenchCost          *cost,
                         GError                   **error);
  void     (*tear_down) (gpointer                   state);
} EvpToolBenchWorkload;

typedef struct
{
  const EvpToolBenchWorkload *workload;
  const EvpToolBenchSubject *subject;
  guint load;         /* so many were idle beside it … */
  guint wanted_load;  /* … of so many */
  guint64 operations; /* in each round */
  GArray *cpu, *wall; /* of double: ns for an operation, one for each round; sorted at the end */
  double ratio;       /* to the yardstick; 0: there is none */
  char *skipped;      /* why there is nothing of this; NULL: it was measured */
} EvpToolBenchResult;

extern const EvpToolBenchWorkload evp_tool_bench_ready;
extern const EvpToolBenchWorkload evp_tool_bench_timers;
extern const EvpToolBenchWorkload evp_tool_bench_descriptors;
extern const EvpToolBenchWorkload evp_tool_bench_posts;
extern const EvpToolBenchWorkload evp_tool_bench_loops;
extern const EvpToolBenchWorkload evp_tool_bench_echo;
extern const EvpToolBenchWorkload evp_tool_bench_files;
extern const EvpToolBenchWorkload evp_tool_bench_children;

extern const EvpToolBenchSubject evp_tool_bench_any_loop[];
extern const EvpToolBenchSubject evp_tool_bench_proactors[];

void evp_tool_bench_start (EvpToolBenchCost *cost);
void evp_tool_bench_stop  (EvpToolBenchCost *cost);
/* How many descriptors may be opened beside those that there are. */
guint evp_tool_bench_count_free_fds (void);

/* The middle one of the rounds. */
double evp_tool_bench_median (GArray *values);
/* A time as people read it: three digits and a unit. */
char  *evp_tool_bench_format_time (double ns);
/* Draws the results, an EvpToolBenchResult each; gives SVG. */
char  *evp_tool_bench_plot (GPtrArray *results);

G_END_DECLS
