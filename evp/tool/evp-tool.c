/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

void
evp_tool_error (const char *format,
                ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_printerr ("evp: %s\n", message);
}

int
evp_tool_usage (const char *subcommand,
                const char *format,
                ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_printerr ("evp: %s\n", message);
  /* Translators: %s is a command such as "evp run" */
  g_printerr (_("Try “%s --help”.\n"), subcommand);
  return EVP_TOOL_USAGE;
}

char *
evp_tool_json_string (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *json = g_string_new ("\"");

  for (const char *p = valid; *p != '\0'; p++)
    switch (*p)
      {
      case '"':
        g_string_append (json, "\\\"");
        break;
      case '\\':
        g_string_append (json, "\\\\");
        break;
      case '\n':
        g_string_append (json, "\\n");
        break;
      case '\r':
        g_string_append (json, "\\r");
        break;
      case '\t':
        g_string_append (json, "\\t");
        break;
      default:
        if ((guchar) *p < 0x20 || *p == 0x7f)
          g_string_append_printf (json, "\\u%04x", (guint) (guchar) *p);
        else
          g_string_append_c (json, *p);
      }
  g_string_append_c (json, '"');
  return g_string_free (json, FALSE);
}

char *
evp_tool_json_number (double number)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];

  return g_strdup (g_ascii_formatd (buffer, sizeof buffer, "%.6f", number));
}

char *
evp_tool_to_locale (const char *text)
{
  const char *charset;
  char *converted = NULL;

  if (!g_get_charset (&charset))
    {
      /* CHARSET may say more, to iconv(): GLib has "?" for what is not known, and with //IGNORE reads beyond the end */
      g_autofree char *name = g_strndup (charset, strcspn (charset, "/"));

      converted = g_convert_with_fallback (text, -1, name, "UTF-8", "?", NULL, NULL, NULL);
    }
  return converted != NULL ? converted : g_strdup (text);
}

char *
evp_tool_visible (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *visible = g_string_new (NULL);

  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (c == '\n')
        g_string_append (visible, "\\n");
      else if (c == '\t')
        g_string_append (visible, "\\t");
      else if (g_unichar_iscntrl (c))
        g_string_append_printf (visible, "\\x%02x", (guint) c);
      else
        g_string_append_unichar (visible, c);
    }
  return g_string_free (visible, FALSE);
}

/* What is needed at once to start one command or to measure one thing, some of it by GLib, which aborts without. */
#define MIN_FREE_FDS 16

gboolean
evp_tool_check_free_fds (void)
{
  struct rlimit limit;
  rlim_t n_free = 0;

  if (getrlimit (RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 4096)
    return TRUE;
  for (int fd = 0; fd < (int) limit.rlim_cur && n_free < MIN_FREE_FDS; fd++)
    if (fcntl (fd, F_GETFD) < 0)
      n_free++;
  if (n_free == MIN_FREE_FDS)
    return TRUE;
  evp_tool_error (_("%u file descriptors can be opened, and %u are needed; raise the limit with “ulimit -n”"),
                  (guint) n_free, (guint) MIN_FREE_FDS);
  return FALSE;
}

static const EvpToolWatcher watchers[] = {
  { "pidfd", "EvpPidfdChildWatcher", evp_pidfd_child_watcher_new },
  { "threaded", "EvpThreadedChildWatcher", evp_threaded_child_watcher_new },
  { "safe", "EvpSafeChildWatcher", evp_safe_child_watcher_new },
  { "fast", "EvpFastChildWatcher", evp_fast_child_watcher_new },
  { "multi-loop", "EvpMultiLoopChildWatcher", evp_multi_loop_child_watcher_new },
  { "glib", "EvpGLibChildWatcher", evp_glib_child_watcher_new },
};

const EvpToolWatcher *
evp_tool_find_watcher (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (watchers); i++)
    if (strcmp (watchers[i].name, name) == 0)
      return &watchers[i];
  return NULL;
}

char *
evp_tool_list_watchers (void)
{
  GString *list = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (watchers); i++)
    g_string_append_printf (list, "%s%s", i > 0 ? ", " : "", watchers[i].name);
  return g_string_free (list, FALSE);
}

gsize
evp_tool_text_width (const char *text)
{
  gsize width = 0;

  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (!g_unichar_iszerowidth (c))
        width += g_unichar_iswide (c) ? 2 : 1;
    }
  return width;
}

#define PROGRESS_WIDTH 30
/* a bar shorter than this says nothing */
#define MIN_PROGRESS_WIDTH 5

/* Of a terminal, now: its window may change. */
static gsize
count_columns (int fd)
{
#ifdef TIOCGWINSZ
  struct winsize size;

  if (ioctl (fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
#endif
  return 80;
}

char *
evp_tool_progress (int         fd,
                   guint       done,
                   guint       all,
                   const char *text)
{
  g_autoptr (GString) line = g_string_new ("\r");
  /* what goes on in the next line stays there, and some terminals are in it as soon as this one is full */
  gsize room = count_columns (fd) - 1;
  gsize length = evp_tool_text_width (text) + strlen ("[] ");
  gsize width = room > length ? MIN (room - length, PROGRESS_WIDTH) : 0;

  if (width >= MIN_PROGRESS_WIDTH)
    {
      g_string_append_c (line, '[');
      for (gsize i = 0; i < width; i++)
        g_string_append_c (line, all == 0 || i < (gsize) done * width / all ? '#' : '.');
      g_string_append (line, "] ");
      room -= width + strlen ("[] ");
    }
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    {
      g_autofree char *character = g_strndup (p, (gsize) (g_utf8_next_char (p) - p));
      gsize columns = evp_tool_text_width (character);

      if (columns > room)
        break;
      g_string_append (line, character);
      room -= columns;
    }
  g_string_append (line, "\033[K");
  return g_string_free (g_steal_pointer (&line), FALSE);
}

void
evp_tool_append_padded (GString      *string,
                        const char   *text,
                        gsize         width,
                        EvpToolAlign  align)
{
  gsize own = evp_tool_text_width (text);

  if (align == EVP_TOOL_ALIGN_LEFT)
    g_string_append (string, text);
  for (gsize i = own; i < width; i++)
    g_string_append_c (string, ' ');
  if (align == EVP_TOOL_ALIGN_RIGHT)
    g_string_append (string, text);
}

static void
print_help (void)
{
  g_print ("%s\n\n%s\n  evp run    %s\n  evp info   %s\n  evp bench  %s\n\n%s\n",
           _("Usage: evp COMMAND [OPTION…]"),
           _("Commands:"),
           _("run many commands at once on one event loop"),
           _("tell what this machine allows and what the defaults are"),
           _("compare loops, selectors, proactors and watchers on this machine"),
           _("“evp COMMAND --help” says more. “evp --version” tells the version."));
}

/*
 * Whoever starts us with a standard stream closed must not find one of our descriptors there. Input
 * and output say that something is wrong as soon as they are used; messages have nobody to tell.
 */
static void
open_standard_streams (void)
{
  const int modes[] = { O_WRONLY, O_RDONLY, O_RDWR };

  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl (fd, F_GETFD) < 0 && open ("/dev/null", modes[fd]) != fd)
      exit (EVP_TOOL_USAGE);
}

/*
 * Whoever starts us may have blocked signals and forgotten that. Then nobody could end us, and the watchers that
 * live on SIGCHLD would wait for ever. A signal that is not for us is ignored, not blocked.
 */
static void
unblock_signals (void)
{
  sigset_t none;

  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
}

/* Output that becomes larger than files may be (ulimit -f) is an error like a full disk, and not the end of us alone. */
static void
ignore_file_size_signal (void)
{
  signal (SIGXFSZ, SIG_IGN);
}

/* 0 or an errno. */
static int
write_out (const char *text)
{
  return fputs (text, stdout) >= 0 && fflush (stdout) == 0 ? 0 : errno;
}

static void
exit_unwritten (int error_number)
{
  evp_tool_error (_("Cannot write the output: %s"), g_strerror (error_number));
  exit (EVP_TOOL_FAILED);
}

void
evp_tool_print_json (const char *json)
{
  int failure = write_out (json);

  if (failure != 0)
    exit_unwritten (failure);
}

/* Behind g_print(), which also prints the help on options and then exits by itself. */
static void
print_cb (const char *text)
{
  g_autofree char *converted = evp_tool_to_locale (text);
  int failure = write_out (converted);

  if (failure != 0)
    exit_unwritten (failure);
}

static void
print_error_cb (const char *text)
{
  g_autofree char *converted = evp_tool_to_locale (text);

  /* there is nobody to tell that it cannot be written */
  (void) fputs (converted, stderr);
  (void) fflush (stderr);
}

static int
run_command (int    argc,
             char **argv)
{
  const char *command = argc > 1 ? argv[1] : NULL;

  if (command == NULL)
    return evp_tool_usage ("evp", "%s", _("no command given"));
  if (strcmp (command, "run") == 0)
    return evp_tool_run (argc - 1, argv + 1);
  if (strcmp (command, "info") == 0)
    return evp_tool_info (argc - 1, argv + 1);
  if (strcmp (command, "bench") == 0)
    return evp_tool_bench (argc - 1, argv + 1);
  if (strcmp (command, "--help") == 0 || strcmp (command, "-h") == 0 || strcmp (command, "help") == 0)
    {
      print_help ();
      return EVP_TOOL_OK;
    }
  if (strcmp (command, "--version") == 0)
    {
      g_print ("evp %s\n", evp_get_version ());
      return EVP_TOOL_OK;
    }
  return evp_tool_usage ("evp", _("there is no command “%s”"), command);
}

int
main (int    argc,
      char **argv)
{
  open_standard_streams ();
  unblock_signals ();
  ignore_file_size_signal ();
  setlocale (LC_ALL, "");
#ifdef ENABLE_NLS
  /* the library says where its messages are with its first one, so that comes before anybody who knows better */
  evp_capabilities_explain ("");
  bindtextdomain (GETTEXT_PACKAGE, g_getenv ("EVP_LOCALEDIR") != NULL ? g_getenv ("EVP_LOCALEDIR") : EVP_LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
#endif
  g_set_prgname ("evp");

  g_set_print_handler (print_cb);
  g_set_printerr_handler (print_error_cb);

  return run_command (argc, argv);
}
