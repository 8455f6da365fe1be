/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-bench-private.h"

#include <glib/gi18n.h>
#include <math.h>

/*
 * The results as a picture: a panel for each workload, a row for each subject, a dot where the median is and a
 * line from the least to the most. The axes are logarithmic, because costs differ by factors, and each has
 * its unit. Text stays text, and the colours follow the reader's choice of light or dark.
 */

#define WIDTH 820
#define LEFT 250   /* names end here */
#define RIGHT 710  /* values begin here */
#define MARGIN 20
#define TITLE_HEIGHT 44
#define ROW_HEIGHT 20
#define AXIS_HEIGHT 44

static const char style[] =
  "  <style>\n"
  "    text { font: 13px system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif; fill: #1d1d20; }\n"
  "    .title { font-size: 16px; font-weight: bold; }\n"
  "    .quiet { fill: #5c5c66; }\n"
  "    .back { fill: #ffffff; }\n"
  "    .grid { stroke: #d5d5dc; }\n"
  "    .range { stroke: #1a5fb4; stroke-width: 3; }\n"
  "    .dot { fill: #1a5fb4; }\n"
  "    .yardstick-range { stroke: #77767b; stroke-width: 3; }\n"
  "    .yardstick { fill: #ffffff; stroke: #77767b; stroke-width: 2; }\n"
  "    @media (prefers-color-scheme: dark) {\n"
  "      text { fill: #f2f2f5; }\n"
  "      .quiet { fill: #b4b4be; }\n"
  "      .back { fill: #1e1e22; }\n"
  "      .grid { stroke: #46464e; }\n"
  "      .range { stroke: #78aeed; }\n"
  "      .dot { fill: #78aeed; }\n"
  "      .yardstick-range { stroke: #a8a8b0; }\n"
  "      .yardstick { fill: #1e1e22; stroke: #a8a8b0; }\n"
  "    }\n"
  "  </style>\n";

typedef struct
{
  int low, high; /* powers of ten, in ns */
} Axis;

static int
axis_x (Axis   axis,
        double ns)
{
  double part = (log10 (MAX (ns, 1e-3)) - axis.low) / (axis.high - axis.low);

  return LEFT + 10 + (int) lround (part * (RIGHT - LEFT - 20));
}

static void
append_text (GString    *svg,
             int         x,
             int         y,
             const char *anchor,
             const char *class_name,
             const char *text)
{
  g_autofree char *escaped = g_markup_escape_text (text, -1);

  g_string_append_printf (svg, "  <text x=\"%d\" y=\"%d\" text-anchor=\"%s\" class=\"%s\">%s</text>\n",
                          x, y, anchor, class_name, escaped);
}

static double
least_of (EvpToolBenchResult *result)
{
  return g_array_index (result->cpu, double, 0);
}

static double
most_of (EvpToolBenchResult *result)
{
  return g_array_index (result->cpu, double, result->cpu->len - 1);
}

static Axis
find_axis (GPtrArray *rows)
{
  double low = G_MAXDOUBLE, high = 0;
  Axis axis;

  for (guint i = 0; i < rows->len; i++)
    {
      low = MIN (low, least_of (g_ptr_array_index (rows, i)));
      high = MAX (high, most_of (g_ptr_array_index (rows, i)));
    }
  axis.low = (int) floor (log10 (MAX (low, 1e-3)));
  axis.high = MAX ((int) ceil (log10 (MAX (high, 1e-3))), axis.low + 1);
  return axis;
}

static void
append_row (GString            *svg,
            Axis                axis,
            int                 y,
            EvpToolBenchResult *result)
{
  gboolean is_yardstick = result->subject == result->workload->subjects;
  g_autofree char *value = evp_tool_bench_format_time (evp_tool_bench_median (result->cpu));
  g_autofree char *name = NULL;

  if (result->workload->load_name != NULL)
    name = g_strdup_printf ("%s, %u", result->subject->name, result->load);
  else
    name = g_strdup (result->subject->name);
  append_text (svg, LEFT - 8, y + 4, "end", "name", name);
  g_string_append_printf (svg, "  <line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\" class=\"%s\"/>\n",
                          axis_x (axis, least_of (result)), axis_x (axis, most_of (result)), y, y,
                          is_yardstick ? "yardstick-range" : "range");
  g_string_append_printf (svg, "  <circle cx=\"%d\" cy=\"%d\" r=\"5\" class=\"%s\"/>\n",
                          axis_x (axis, evp_tool_bench_median (result->cpu)), y, is_yardstick ? "yardstick" : "dot");
  append_text (svg, RIGHT + 80, y + 4, "end", "quiet", value);
}

/* Gives where the next one begins. */
static int
append_panel (GString                    *svg,
              int                         top,
              const EvpToolBenchWorkload *workload,
              GPtrArray                  *rows)
{
  Axis axis = find_axis (rows);
  int first = top + TITLE_HEIGHT, last = first + (int) rows->len * ROW_HEIGHT;
  g_autofree char *what = NULL;

  append_text (svg, MARGIN, top + 14, "start", "title", _(workload->title));
  if (workload->load_name != NULL)
    what = g_strdup_printf (_("%s, beside %s"), _(workload->operation), _(workload->load_name));
  else
    what = g_strdup (_(workload->operation));
  append_text (svg, MARGIN, top + 32, "start", "quiet", what);

  for (int power = axis.low; power <= axis.high; power++)
    {
      int x = axis_x (axis, pow (10, power));
      g_autofree char *label = power < 0 ? g_strdup_printf ("%.*f ns", -power, pow (10, power)) : NULL;

      if (label == NULL)
        label = g_strdup_printf ("%.0f %s", pow (10, power % 3), power < 3 ? "ns" : power < 6 ? "µs" : power < 9 ? "ms" : "s");
      g_string_append_printf (svg, "  <line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\" class=\"grid\"/>\n",
                              x, x, first, last);
      append_text (svg, x, last + 16, "middle", "quiet", label);
    }
  for (guint i = 0; i < rows->len; i++)
    append_row (svg, axis, first + (int) i * ROW_HEIGHT + ROW_HEIGHT / 2, g_ptr_array_index (rows, i));
  return last + AXIS_HEIGHT;
}

char *
evp_tool_bench_plot (GPtrArray *results)
{
  g_autoptr (GString) body = g_string_new (NULL);
  g_autoptr (GPtrArray) rows = g_ptr_array_new ();
  /* Translators: the title of a picture */
  g_autofree char *title = g_strdup_printf (_("evp bench, libevp %s: processor time for one operation"), evp_get_version ());
  g_autofree char *escaped = g_markup_escape_text (title, -1);
  int y = MARGIN + 40;

  append_text (body, MARGIN, MARGIN + 14, "start", "title", title);
  for (guint i = 0; i < results->len; i++)
    {
      EvpToolBenchResult *result = g_ptr_array_index (results, i);
      EvpToolBenchResult *next = i + 1 < results->len ? g_ptr_array_index (results, i + 1) : NULL;

      if (result->skipped == NULL)
        g_ptr_array_add (rows, result);
      if (next != NULL && next->workload == result->workload)
        continue;
      if (rows->len > 0)
        y = append_panel (body, y, result->workload, rows);
      g_ptr_array_set_size (rows, 0);
    }
  append_text (body, MARGIN, y, "start", "quiet",
               _("Dots are medians, lines go from the least to the most; open dots are GLib’s own. Each axis is logarithmic."));
  y += MARGIN;

  return g_strdup_printf ("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\""
                          " role=\"img\">\n"
                          "  <title>%s</title>\n%s"
                          "  <rect width=\"%d\" height=\"%d\" class=\"back\"/>\n%s</svg>\n",
                          WIDTH, y, WIDTH, y, escaped, style, WIDTH, y, body->str);
}
