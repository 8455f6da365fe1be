/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A child for tests. Modes:
 *   exit CODE            ends with CODE
 *   signal NUMBER        kills itself with the signal
 *   wait                 reads standard input to its end, then ends with 0
 *   wait-exit CODE       the same, then ends with CODE
 *   pause                waits for a signal for ever
 *   burn                 takes a little processor time, then ends with 0
 *   wait-burn            the same, after standard input has ended
 *   ignore NUMBER        ignores the signal, writes "ready\n", then pauses
 *   cat                  copies standard input to standard output
 *   echo TEXT…           writes the words to standard output, each with a newline
 *   stderr TEXT…         the same to standard error
 *   both OUT ERR         writes OUT to standard output and ERR to standard error
 *   flood BYTES          writes that many bytes 'x' to standard output
 *   close-stdin          closes standard input, writes "closed\n", then pauses
 *   grandchild           leaves behind a pausing grandchild that holds the pipes; writes its pid, ends with 0
 *   fds                  writes the numbers of its open descriptors, one a line
 *   env NAME             writes the variable's value, or "(unset)"
 *   cwd                  writes the working directory
 *   ids                  writes "uid gid pgrp sid pid"
 *   signals              writes the ignored and the blocked signals: two lines of numbers
 *   argv ARGS…           writes each argument in a line of its own
 */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void
pause_for_ever (void)
{
  /* or nearly: what a failed test leaves behind holds its output open, and with it whoever collects that */
  const time_t end = time (NULL) + 600;

  while (time (NULL) < end)
    sleep (60);
  _exit (1);
}

static int
drain_stdin (void)
{
  char buffer[65536];
  ssize_t n;

  do
    n = read (0, buffer, sizeof buffer);
  while (n > 0 || (n < 0 && errno == EINTR));
  return n == 0 ? 0 : 1;
}

static int
write_all (int         fd,
           const char *text,
           size_t      length)
{
  while (length > 0)
    {
      ssize_t n = write (fd, text, length);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return 1;
      text += n;
      length -= (size_t) n;
    }
  return 0;
}

static int
say (int         fd,
     const char *text)
{
  return write_all (fd, text, strlen (text)) || write_all (fd, "\n", 1);
}

static int
list_fds (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  struct dirent *entry;

  if (dir == NULL)
    return 1;
  while ((entry = readdir (dir)) != NULL)
    if (entry->d_name[0] != '.' && atoi (entry->d_name) != dirfd (dir))
      printf ("%s\n", entry->d_name);
  closedir (dir);
  return 0;
}

static int
list_signals (void)
{
  sigset_t blocked;

  for (int i = 1; i < NSIG; i++)
    {
      struct sigaction action;

      if (sigaction (i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
        printf ("%d ", i);
    }
  printf ("\n");
  sigprocmask (SIG_BLOCK, NULL, &blocked);
  for (int i = 1; i < NSIG; i++)
    if (sigismember (&blocked, i) == 1)
      printf ("%d ", i);
  printf ("\n");
  return 0;
}

int
main (int    argc,
      char **argv)
{
  const char *mode = argc > 1 ? argv[1] : "exit";
  const char *first = argc > 2 ? argv[2] : "0";

  if (strcmp (mode, "exit") == 0)
    return atoi (first);
  if (strcmp (mode, "signal") == 0)
    {
      signal (atoi (first), SIG_DFL);
      raise (atoi (first));
      pause_for_ever ();
    }
  if (strcmp (mode, "wait") == 0)
    return drain_stdin ();
  if (strcmp (mode, "wait-exit") == 0)
    {
      drain_stdin ();
      return atoi (first);
    }
  if (strcmp (mode, "pause") == 0)
    pause_for_ever ();
  if (strcmp (mode, "burn") == 0 || strcmp (mode, "wait-burn") == 0)
    {
      clock_t start;

      if (mode[0] == 'w')
        drain_stdin ();
      start = clock ();
      while (clock () < start + CLOCKS_PER_SEC / 20)
        ;
      return 0;
    }
  if (strcmp (mode, "ignore") == 0)
    {
      signal (atoi (first), SIG_IGN);
      say (1, "ready");
      pause_for_ever ();
    }
  if (strcmp (mode, "cat") == 0)
    {
      char buffer[65536];
      ssize_t n;

      while ((n = read (0, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0 && write_all (1, buffer, (size_t) n) != 0)
          return 1;
      return 0;
    }
  if (strcmp (mode, "echo") == 0 || strcmp (mode, "stderr") == 0 || strcmp (mode, "argv") == 0)
    {
      for (int i = 2; i < argc; i++)
        if (say (mode[0] == 's' ? 2 : 1, argv[i]) != 0)
          return 1;
      return 0;
    }
  if (strcmp (mode, "both") == 0)
    return say (1, first) || say (2, argc > 3 ? argv[3] : "");
  if (strcmp (mode, "flood") == 0)
    {
      char block[4096];
      long left = atol (first);

      memset (block, 'x', sizeof block);
      while (left > 0)
        {
          size_t n = left < (long) sizeof block ? (size_t) left : sizeof block;

          if (write_all (1, block, n) != 0)
            return 1;
          left -= (long) n;
        }
      return 0;
    }
  if (strcmp (mode, "close-stdin") == 0)
    {
      close (0);
      say (1, "closed");
      pause_for_ever ();
    }
  if (strcmp (mode, "grandchild") == 0)
    {
      pid_t pid = fork ();

      if (pid == 0)
        pause_for_ever ();
      printf ("%d\n", (int) pid);
      return pid < 0;
    }
  if (strcmp (mode, "fds") == 0)
    return list_fds ();
  if (strcmp (mode, "env") == 0)
    {
      const char *value = getenv (first);

      return say (1, value != NULL ? value : "(unset)");
    }
  if (strcmp (mode, "cwd") == 0)
    {
      char path[4096];

      return getcwd (path, sizeof path) == NULL || say (1, path);
    }
  if (strcmp (mode, "ids") == 0)
    {
      printf ("%d %d %d %d %d\n", (int) getuid (), (int) getgid (), (int) getpgrp (), (int) getsid (0), (int) getpid ());
      return 0;
    }
  if (strcmp (mode, "signals") == 0)
    return list_signals ();

  fprintf (stderr, "unknown mode: %s\n", mode);
  return 2;
}
