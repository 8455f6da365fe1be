/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <evp/evp.h>

G_BEGIN_DECLS

/* What the command ends with. */
enum
{
  EVP_TOOL_OK = 0,
  EVP_TOOL_FAILED = 1,      /* some command failed */
  EVP_TOOL_USAGE = 2,       /* wrong usage, or unreadable input */
  EVP_TOOL_INTERRUPTED = 130,
};

int  evp_tool_bench (int    argc,
                     char **argv);
int  evp_tool_info  (int    argc,
                     char **argv);
int  evp_tool_run   (int    argc,
                     char **argv);

/* "evp: …" on standard error. */
void evp_tool_error (const char *format,
                     ...) G_GNUC_PRINTF (1, 2);
/* The same, and where to find help; gives EVP_TOOL_USAGE. */
int  evp_tool_usage (const char *subcommand,
                     const char *format,
                     ...) G_GNUC_PRINTF (2, 3);

/* Text as a JSON string, with its quotes. Bytes that are not UTF-8 are replaced. */
char *evp_tool_json_string (const char *text);
/* A number as JSON writes it, whatever the locale. */
char *evp_tool_json_number (double number);

/* JSON, which is UTF-8 in every locale, to standard output; exits if it cannot be written. */
void evp_tool_print_json (const char *json);
/* UTF-8 as the locale has it, with "?" for what it does not have. */
char *evp_tool_to_locale (const char *text);
/* Text as a terminal can show it, without control characters and without what is not UTF-8. */
char *evp_tool_visible (const char *text);

/* FALSE, after a message, if there are too few descriptors left to do anything. */
gboolean evp_tool_check_free_fds (void);

/* A child watcher by the name that --watcher and EVP_CHILD_WATCHER know it by. */
typedef struct
{
  const char *name;
  const char *type_name;
  EvpAbstractChildWatcher *(*create) (void);
} EvpToolWatcher;

/* NULL if there is none of that name. */
const EvpToolWatcher *evp_tool_find_watcher  (const char *name);
/* The names, with commas. */
char                 *evp_tool_list_watchers (void);

/* How many columns of a terminal a text takes. */
gsize evp_tool_text_width (const char *text);

/* A progress bar and @text, no longer than a line of the terminal @fd, in the place of what stands there. */
char *evp_tool_progress (int         fd,
                         guint       done,
                         guint       all,
                         const char *text);

typedef enum
{
  EVP_TOOL_ALIGN_LEFT,
  EVP_TOOL_ALIGN_RIGHT,
} EvpToolAlign;

/* Appends @text, padded to @width columns. */
void evp_tool_append_padded (GString      *string,
                             const char   *text,
                             gsize         width,
                             EvpToolAlign  align);

G_END_DECLS
