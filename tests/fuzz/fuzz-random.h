/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "support/evp-test-support.h"

#include <glib.h>

#include <stdlib.h>

G_BEGIN_DECLS

/*
 * Random sequences that can be repeated: the same seed makes the same ones. The tests take
 *
 *   --fuzz-seed=N    instead of the usual one
 *   --rounds=N       how many sequences, 0: for ever, each with the next seed
 *
 * before GLib's own arguments, and print the seed of the sequence that failed. Where everything is slow there is a
 * third of the usual sequences, the same ones.
 */

typedef struct
{
  guint32 seed;
  guint rounds;
} FuzzArguments;

static inline FuzzArguments
fuzz_init (int    *argc,
           char ***argv,
           guint   rounds)
{
  FuzzArguments arguments = { 1, evp_test_is_slow () ? (rounds + 2) / 3 : rounds };
  int kept = 1;

  for (int i = 1; i < *argc; i++)
    {
      const char *argument = (*argv)[i];

      if (g_str_has_prefix (argument, "--fuzz-seed="))
        arguments.seed = (guint32) strtoul (strchr (argument, '=') + 1, NULL, 10);
      else if (g_str_has_prefix (argument, "--rounds="))
        arguments.rounds = (guint) strtoul (strchr (argument, '=') + 1, NULL, 10);
      else
        (*argv)[kept++] = (*argv)[i];
    }
  (*argv)[kept] = NULL;
  *argc = kept;
  g_test_init (argc, argv, NULL);
  return arguments;
}

static inline guint
fuzz_below (GRand *rand,
            guint  limit)
{
  return (guint) g_rand_int_range (rand, 0, (gint32) limit);
}

/* Calls @round with the random numbers of each seed. */
static inline void
fuzz_rounds (const FuzzArguments *arguments,
             void               (*round) (GRand        *rand,
                                          gconstpointer data),
             gconstpointer        data)
{
  for (guint i = 0; arguments->rounds == 0 || i < arguments->rounds; i++)
    {
      GRand *rand = g_rand_new_with_seed (arguments->seed + i);

      /* seen when it is the last line before the failure */
      if (g_test_verbose () || i == 0 || arguments->rounds == 0)
        g_test_message ("seed %u", arguments->seed + i);
      round (rand, data);
      g_rand_free (rand);
    }
}

G_END_DECLS
