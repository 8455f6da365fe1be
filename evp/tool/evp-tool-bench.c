/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-bench-private.h"

#include <dirent.h>
#include <errno.h>
#include <glib/gi18n.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/*
 * `evp bench`: the loops, selectors, proactors and watchers of this build on this machine, and GLib as the yardstick.
 */

/* In each round all subjects take their turn, so that a disturbance hits all alike. */
#define N_ROUNDS 3
/* A run shall take this long: long enough for the clock, short enough for whoever waits. */
#define RUN_NS 30e6
#define MAX_OPERATIONS 2000000

static const EvpToolBenchWorkload *const workloads[] = {
  &evp_tool_bench_ready, &evp_tool_bench_timers, &evp_tool_bench_descriptors, &evp_tool_bench_posts,
  &evp_tool_bench_loops, &evp_tool_bench_echo, &evp_tool_bench_files, &evp_tool_bench_children,
};

typedef struct
{
  GPtrArray *results; /* of EvpToolBenchResult, in the order in which they are shown */
  GStrv only;
  gboolean quick, json;
  guint n_rounds;
  guint n_steps, n_done; /* of the progress bar */
  gboolean show_progress;
} Bench;

static volatile sig_atomic_t interrupted; /* the signal */

static void
interrupt_cb (int signum)
{
  interrupted = signum;
}

void
evp_tool_bench_start (EvpToolBenchCost *cost)
{
  struct timespec cpu, wall;

  clock_gettime (CLOCK_MONOTONIC, &wall);
  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &cpu);
  cost->cpu = -(cpu.tv_sec * 1e9 + (double) cpu.tv_nsec);
  cost->wall = -(wall.tv_sec * 1e9 + (double) wall.tv_nsec);
}

void
evp_tool_bench_stop (EvpToolBenchCost *cost)
{
  struct timespec cpu, wall;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &cpu);
  clock_gettime (CLOCK_MONOTONIC, &wall);
  cost->cpu += cpu.tv_sec * 1e9 + (double) cpu.tv_nsec;
  cost->wall += wall.tv_sec * 1e9 + (double) wall.tv_nsec;
}

guint
evp_tool_bench_count_free_fds (void)
{
  struct rlimit limit;
  guint used = 0;
  DIR *folder;

  if (getrlimit (RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > G_MAXINT)
    return G_MAXINT;
  folder = opendir ("/dev/fd");
  if (folder != NULL)
    {
      while (readdir (folder) != NULL)
        used++;
      closedir (folder);
    }
  return limit.rlim_cur > used ? (guint) limit.rlim_cur - used : 0;
}

static int
compare_doubles (gconstpointer a,
                 gconstpointer b)
{
  const double *left = a, *right = b;

  return (*left > *right) - (*left < *right);
}

double
evp_tool_bench_median (GArray *values)
{
  double middle = g_array_index (values, double, values->len / 2);

  return values->len % 2 == 1 ? middle : (middle + g_array_index (values, double, values->len / 2 - 1)) / 2;
}

char *
evp_tool_bench_format_time (double ns)
{
  static const char *const units[] = { "ns", "µs", "ms", "s" };
  guint unit = 0;

  /* what would be shown as 1000 is the next unit's */
  while (ns >= 999.5 && unit + 1 < G_N_ELEMENTS (units))
    {
      ns /= 1e3;
      unit++;
    }
  return g_strdup_printf ("%.*f %s", ns >= 99.95 ? 0 : ns >= 9.995 ? 1 : 2, ns, units[unit]);
}

static void
result_free (gpointer data)
{
  EvpToolBenchResult *self = data;

  g_array_unref (self->cpu);
  g_array_unref (self->wall);
  g_free (self->skipped);
  g_free (self);
}

/* Measuring */

static void
bench_hide_progress (Bench *self)
{
  if (self->show_progress)
    g_printerr ("\r\033[K");
}

static void
bench_show_progress (Bench              *self,
                     EvpToolBenchResult *result)
{
  g_autofree char *subject = g_strdup_printf ("%s: %s", result->workload->key, result->subject->name);
  g_autofree char *line = evp_tool_progress (STDERR_FILENO, self->n_done++, self->n_steps, subject);

  if (self->show_progress)
    g_printerr ("%s", line);
}

/* Finds out how many operations take as long as a run shall. */
static gboolean
calibrate (EvpToolBenchResult *result,
           gpointer            state,
           GError            **error)
{
  EvpToolBenchCost cost;
  guint64 n = result->workload->quick_n;

  while (interrupted == 0)
    {
      double factor;

      if (!result->workload->run (state, n, &cost, error))
        return FALSE;
      factor = RUN_NS / MAX (cost.wall, 1);
      if (factor < 2)
        {
          n = MAX ((guint64) ((double) n * factor), 1);
          break;
        }
      n = (guint64) ((double) n * MIN (factor, 10));
      if (n >= MAX_OPERATIONS)
        break;
    }
  result->operations = MIN (n, MAX_OPERATIONS);
  return TRUE;
}

static gboolean
measure (EvpToolBenchResult *result,
         gboolean            quick,
         GError            **error)
{
  const EvpToolBenchWorkload *workload = result->workload;
  EvpToolBenchCost cost = { 0, 0 };
  gboolean measured = TRUE;
  gpointer state = workload->set_up (result->subject, error);

  if (state == NULL)
    return FALSE;
  if (quick)
    result->operations = workload->quick_n;
  else if (workload->fixed_n > 0)
    result->operations = workload->fixed_n;
  else if (result->operations == 0)
    measured = calibrate (result, state, error);
  if (measured && interrupted == 0)
    measured = workload->run (state, result->operations, &cost, error);
  workload->tear_down (state);
  if (measured)
    {
      cost.cpu /= (double) result->operations;
      cost.wall /= (double) result->operations;
      g_array_append_val (result->cpu, cost.cpu);
      g_array_append_val (result->wall, cost.wall);
    }
  return measured;
}

/* One workload beside so many idle things. */
static void
bench_measure_load (Bench                      *self,
                    const EvpToolBenchWorkload *workload,
                    guint                       wanted_load,
                    GPtrArray                  *results)
{
  guint load = workload->begin != NULL ? workload->begin (wanted_load) : 0;

  for (guint round = 0; round < self->n_rounds; round++)
    for (guint i = 0; i < results->len && interrupted == 0; i++)
      {
        EvpToolBenchResult *result = g_ptr_array_index (results, i);
        g_autoptr (GError) error = NULL;

        result->load = load;
        bench_show_progress (self, result);
        if (result->skipped == NULL && !measure (result, self->quick, &error))
          result->skipped = g_strdup (error->message);
      }
  if (workload->end != NULL)
    workload->end ();
}

static gboolean
bench_wants (Bench                      *self,
             const EvpToolBenchWorkload *workload)
{
  return self->only == NULL || g_strv_contains ((const char *const *) self->only, workload->key);
}

/* When it shall be quick: beside nothing, and beside a few. */
static guint
bench_count_loads (Bench                      *self,
                   const EvpToolBenchWorkload *workload)
{
  return self->quick ? MIN (workload->n_loads, 2) : workload->n_loads;
}

static guint
bench_load (Bench                      *self,
            const EvpToolBenchWorkload *workload,
            guint                       i)
{
  return self->quick && i > 0 ? workload->quick_load : workload->loads[i];
}

static void
bench_finish (GPtrArray *results)
{
  EvpToolBenchResult *yardstick = g_ptr_array_index (results, 0);

  for (guint i = 0; i < results->len; i++)
    {
      EvpToolBenchResult *result = g_ptr_array_index (results, i);

      g_array_sort (result->cpu, compare_doubles);
      g_array_sort (result->wall, compare_doubles);
      if (result->skipped == NULL && yardstick->skipped == NULL && evp_tool_bench_median (yardstick->cpu) > 0)
        result->ratio = evp_tool_bench_median (result->cpu) / evp_tool_bench_median (yardstick->cpu);
    }
}

static guint
count_subjects (const EvpToolBenchWorkload *workload)
{
  guint n = 0;

  while (workload->subjects[n].name != NULL)
    n++;
  return n;
}

static void
bench_run (Bench *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (workloads); i++)
    if (bench_wants (self, workloads[i]))
      self->n_steps += count_subjects (workloads[i]) * bench_count_loads (self, workloads[i]) * self->n_rounds;

  for (guint i = 0; i < G_N_ELEMENTS (workloads); i++)
    for (guint j = 0; j < bench_count_loads (self, workloads[i]) && interrupted == 0; j++)
      {
        const EvpToolBenchWorkload *workload = workloads[i];
        g_autoptr (GPtrArray) results = NULL;

        if (!bench_wants (self, workload))
          break;
        results = g_ptr_array_new ();
        for (guint k = 0; k < count_subjects (workload); k++)
          {
            EvpToolBenchResult *result = g_new0 (EvpToolBenchResult, 1);

            result->workload = workload;
            result->subject = &workload->subjects[k];
            result->wanted_load = bench_load (self, workload, j);
            result->cpu = g_array_new (FALSE, FALSE, sizeof (double));
            result->wall = g_array_new (FALSE, FALSE, sizeof (double));
            g_ptr_array_add (results, result);
            g_ptr_array_add (self->results, result);
          }
        bench_measure_load (self, workload, bench_load (self, workload, j), results);
        if (interrupted == 0)
          bench_finish (results);
      }
  bench_hide_progress (self);
}

/* Results */

static void
append_json_values (GString    *json,
                    const char *name,
                    GArray     *values)
{
  g_autofree char *median = evp_tool_json_number (evp_tool_bench_median (values));
  g_autofree char *least = evp_tool_json_number (g_array_index (values, double, 0));
  g_autofree char *most = evp_tool_json_number (g_array_index (values, double, values->len - 1));

  g_string_append_printf (json, ", \"%s\": { \"median\": %s, \"least\": %s, \"most\": %s }", name, median, least, most);
}

static void
bench_print_json (Bench *self)
{
  g_autoptr (GString) json = g_string_new ("{\n");
  g_autofree char *version = evp_tool_json_string (evp_get_version ());
  g_autofree char *glib = g_strdup_printf ("%u.%u.%u", glib_major_version, glib_minor_version, glib_micro_version);
  g_autofree char *kernel = NULL;
  struct utsname name;

  if (uname (&name) != 0)
    memset (&name, 0, sizeof name);
  g_autofree char *system = g_strdup_printf ("%s %s %s", name.sysname, name.release, name.machine);

  kernel = evp_tool_json_string (system);
  g_string_append_printf (json,
                          "  \"version\": %s,\n  \"glib\": \"%s\",\n  \"system\": %s,\n  \"processors\": %u,\n"
                          "  \"rounds\": %u,\n  \"unit\": \"ns\",\n  \"results\": [",
                          version, glib, kernel, g_get_num_processors (), self->n_rounds);
  for (guint i = 0; i < self->results->len; i++)
    {
      EvpToolBenchResult *result = g_ptr_array_index (self->results, i);

      g_string_append_printf (json, "%s\n    { \"workload\": \"%s\", \"subject\": \"%s\", \"load\": ", i > 0 ? "," : "",
                              result->workload->key, result->subject->name);
      if (result->workload->load_name != NULL)
        g_string_append_printf (json, "%u, \"wanted_load\": %u", result->load, result->wanted_load);
      else
        g_string_append (json, "null, \"wanted_load\": null");
      if (result->skipped != NULL)
        {
          g_autofree char *skipped = evp_tool_json_string (result->skipped);

          g_string_append_printf (json, ", \"skipped\": %s }", skipped);
          continue;
        }
      g_string_append_printf (json, ", \"operations\": %" G_GUINT64_FORMAT, result->operations);
      append_json_values (json, "cpu", result->cpu);
      append_json_values (json, "wall", result->wall);
      if (result->ratio > 0)
        {
          g_autofree char *ratio = evp_tool_json_number (result->ratio);

          g_string_append_printf (json, ", \"ratio\": %s }", ratio);
        }
      else
        g_string_append (json, ", \"ratio\": null }");
    }
  g_string_append (json, "\n  ]\n}\n");
  evp_tool_print_json (json->str);
}

enum
{
  COLUMN_SUBJECT,
  COLUMN_LOAD,
  COLUMN_CPU,
  COLUMN_LEAST,
  COLUMN_MOST,
  COLUMN_WALL,
  COLUMN_RATIO,
  N_COLUMNS,
};

static char **
result_cells (EvpToolBenchResult *result)
{
  char **cells = g_new0 (char *, N_COLUMNS + 1);

  cells[COLUMN_SUBJECT] = g_strdup (result->subject->name);
  cells[COLUMN_LOAD] = g_strdup_printf ("%u", result->load);
  cells[COLUMN_CPU] = evp_tool_bench_format_time (evp_tool_bench_median (result->cpu));
  cells[COLUMN_LEAST] = evp_tool_bench_format_time (g_array_index (result->cpu, double, 0));
  cells[COLUMN_MOST] = evp_tool_bench_format_time (g_array_index (result->cpu, double, result->cpu->len - 1));
  cells[COLUMN_WALL] = evp_tool_bench_format_time (evp_tool_bench_median (result->wall));
  cells[COLUMN_RATIO] = result->ratio > 0 ? g_strdup_printf ("%.2f", result->ratio) : g_strdup ("-");
  return cells;
}

static void
append_notes (GString                    *text,
              GPtrArray                  *results,
              const EvpToolBenchWorkload *workload)
{
  guint last = G_MAXUINT;

  for (guint i = 0; i < results->len; i++)
    {
      EvpToolBenchResult *result = g_ptr_array_index (results, i);

      if (result->workload != workload)
        continue;
      if (result->load < result->wanted_load && result->wanted_load != last)
        {
          last = result->wanted_load;
          /* Translators: two numbers, and then "idle descriptors" or "living children" */
          g_string_append_printf (text, _("  %u in place of %u %s: the limits of this process allow no more\n"),
                                  result->load, result->wanted_load, _(workload->load_name));
        }
      if (result->skipped == NULL)
        continue;
      if (workload->load_name != NULL)
        g_string_append_printf (text, "  %s, %u: %s\n", result->subject->name, result->load, result->skipped);
      else
        g_string_append_printf (text, "  %s: %s\n", result->subject->name, result->skipped);
    }
}

static void
append_table (GString                    *text,
              GPtrArray                  *results,
              const EvpToolBenchWorkload *workload)
{
  /* Translators: titles of a table; CPU time is given as the median, the least and the most of the rounds */
  const char *titles[N_COLUMNS] = { _("SUBJECT"), _("BESIDE"), _("CPU"), _("LEAST"), _("MOST"), _("WALL"), _("RATIO") };
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
  gsize widths[N_COLUMNS];

  for (guint i = 0; i < results->len; i++)
    {
      EvpToolBenchResult *result = g_ptr_array_index (results, i);

      if (result->workload == workload && result->skipped == NULL)
        g_ptr_array_add (rows, result_cells (result));
    }
  for (guint column = 0; column < N_COLUMNS; column++)
    {
      widths[column] = evp_tool_text_width (titles[column]);
      for (guint i = 0; i < rows->len; i++)
        widths[column] = MAX (widths[column], evp_tool_text_width (((char **) g_ptr_array_index (rows, i))[column]));
    }

  if (workload->load_name != NULL)
    /* Translators: what is measured, what the costs are for, and what is idle beside it */
    g_string_append_printf (text, _("%s: %s, beside %s\n"), _(workload->title), _(workload->operation),
                            _(workload->load_name));
  else
    /* Translators: what is measured, and what the costs are for */
    g_string_append_printf (text, _("%s: %s\n"), _(workload->title), _(workload->operation));
  for (guint i = 0; i <= rows->len; i++)
    {
      char **cells = i > 0 ? g_ptr_array_index (rows, i - 1) : (char **) titles;

      for (guint column = 0; column < N_COLUMNS; column++)
        if (column != COLUMN_LOAD || workload->load_name != NULL)
          {
            g_string_append (text, "  ");
            evp_tool_append_padded (text, cells[column], widths[column],
                                    column == COLUMN_SUBJECT ? EVP_TOOL_ALIGN_LEFT : EVP_TOOL_ALIGN_RIGHT);
          }
      g_string_append_c (text, '\n');
    }
  append_notes (text, results, workload);
}

static void
bench_print_table (Bench *self)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (workloads); i++)
    if (bench_wants (self, workloads[i]))
      {
        append_table (text, self->results, workloads[i]);
        g_string_append_c (text, '\n');
      }
  g_string_append (text, _("CPU, LEAST, MOST: processor time of all threads for one operation: the median, the least and the most\n"
                           "of the rounds. WALL: how long it took. RATIO: CPU, compared with GLib’s own, which is the first line.\n"));
  g_print ("%s", text->str);
}

/* Starting */

/* As for `evp run`: who started us may have decided that a signal is not for us. */
static void
catch_signals (void)
{
  const int signals[] = { SIGINT, SIGTERM, SIGHUP };
  struct sigaction action, old;

  memset (&action, 0, sizeof action);
  action.sa_handler = interrupt_cb;
  /* the second one ends us at once; children notice that by themselves */
  action.sa_flags = SA_RESTART | (int) SA_RESETHAND;
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    if (sigaction (signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
      sigaction (signals[i], &action, NULL);
  signal (SIGPIPE, SIG_IGN);
}

static void
raise_fd_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
}

static int
check_only (char *const *only)
{
  g_autoptr (GString) known = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (workloads); i++)
    g_string_append_printf (known, "%s%s", i > 0 ? ", " : "", workloads[i]->key);
  /* what is split into nothing at all is not known either */
  if (only[0] == NULL)
    return evp_tool_usage ("evp bench", _("“%s” is not among what can be measured: %s"), "", known->str);
  for (guint i = 0; only[i] != NULL; i++)
    {
      gboolean found = FALSE;

      for (guint j = 0; j < G_N_ELEMENTS (workloads) && !found; j++)
        found = strcmp (only[i], workloads[j]->key) == 0;
      if (!found)
        return evp_tool_usage ("evp bench", _("“%s” is not among what can be measured: %s"), only[i], known->str);
    }
  return EVP_TOOL_OK;
}

/* Into what is there, which may be a link, a pipe or /dev/stdout, and not in its place. */
static gboolean
write_file (const char *path,
            const char *text)
{
  FILE *file = g_fopen (path, "we");
  gboolean written = file != NULL && fputs (text, file) >= 0;
  int failure = errno;

  if (file != NULL && fclose (file) != 0 && written)
    {
      written = FALSE;
      failure = errno;
    }
  if (!written)
    {
      g_autofree char *name = g_filename_display_name (path);

      /* Translators: a file and what is wrong with it */
      evp_tool_error (_("Cannot write “%s”: %s"), name, g_strerror (failure));
    }
  return written;
}

int
evp_tool_bench (int    argc,
                char **argv)
{
  g_autoptr (GOptionContext) options = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *only = NULL;
  g_autofree char *plot = NULL;
  g_autofree char *svg = NULL;
  Bench bench = { 0 };
  int status = EVP_TOOL_OK;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &bench.json, N_("Print JSON"), NULL },
    { "plot", 0, 0, G_OPTION_ARG_FILENAME, &plot, N_("Draw the results, as SVG"), N_("FILE") },
    { "only", 0, 0, G_OPTION_ARG_STRING, &only, N_("Measure only these, separated by commas"), N_("WHAT") },
    { "quick", 0, 0, G_OPTION_ARG_NONE, &bench.quick, N_("Only see that everything works; the numbers mean little"),
      NULL },
    { NULL },
  };

  options = g_option_context_new (NULL);
  g_option_context_set_translation_domain (options, GETTEXT_PACKAGE);
  g_option_context_set_summary (options,
                                _("Compares the event loops, selectors, proactors and child watchers of this build on this machine,\n"
                                  "with GLib as the yardstick. Takes less than a minute."));
  g_option_context_set_description (options,
                                    _("WHAT: ready, timers, descriptors, posts, loops, echo, files, children.\n\n"
                                      "Exit status: 0, 1 if the results could not be written, 2 for wrong usage, 130 if interrupted."));
  g_option_context_add_main_entries (options, entries, GETTEXT_PACKAGE);
  g_set_prgname ("evp bench");
  if (!g_option_context_parse (options, &argc, &argv, &error))
    return evp_tool_usage ("evp bench", "%s", error->message);
  if (argc > 1)
    return evp_tool_usage ("evp bench", _("“%s” is one word too many"), argv[1]);
  if (only != NULL)
    {
      bench.only = g_strsplit (only, ",", -1);
      status = check_only (bench.only);
      if (status != EVP_TOOL_OK)
        {
          g_strfreev (bench.only);
          return status;
        }
    }

  raise_fd_limit ();
  if (!evp_tool_check_free_fds ())
    {
      g_strfreev (bench.only);
      return EVP_TOOL_USAGE;
    }
  bench.results = g_ptr_array_new_with_free_func (result_free);
  bench.n_rounds = bench.quick ? 1 : N_ROUNDS;
  bench.show_progress = isatty (STDERR_FILENO);
  catch_signals ();
  bench_run (&bench);
  if (interrupted != 0)
    {
      status = 128 + interrupted;
      goto out;
    }

  if (bench.json)
    bench_print_json (&bench);
  else
    bench_print_table (&bench);
  if (plot != NULL)
    {
      svg = evp_tool_bench_plot (bench.results);
      if (!write_file (plot, svg))
        status = EVP_TOOL_FAILED;
    }

out:
  g_ptr_array_unref (bench.results);
  g_strfreev (bench.only);
  return status;
}
