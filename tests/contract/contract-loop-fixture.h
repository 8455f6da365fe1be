/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "contract/contract-loop.h"

#include "evp/base/evp-debug-private.h"
#include "evp/loop/evp-base-event-loop.h"
#include "evp/loop/evp-future.h"
#include "evp/loop/evp-running-loop-private.h"
#include "support/evp-test-support.h"

#include <string.h>

G_BEGIN_DECLS

typedef struct
{
  const char *name;
  ContractLoopNew make;
  ContractLoopFlags flags;
  gboolean adopted;
} ContractLoop;

typedef struct
{
  const ContractLoop *kind;
  EvpAbstractEventLoop *loop;
  GMainContext *context;
  GMainLoop *main_loop; /* adopted */
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
  GString *log;       /* loop's thread */
  GPtrArray *reports; /* contexts that the exception handler got */
  guint n_warnings;   /* runtime warnings before the case */
  guint n_expected_warnings;
  gboolean finished;
} Fixture;

typedef void (*ContractCase) (Fixture *fixture);

typedef enum
{
  IN_RUN = 1 << 0,
  IN_ADOPTED = 1 << 1,
  IN_BOTH = IN_RUN | IN_ADOPTED,
  NEEDS_FDS = 1 << 2,
  NEEDS_SIGNALS = 1 << 3,
  NEEDS_SOCKETS = 1 << 4,
} ContractWhere;

typedef struct
{
  const char *name;
  ContractCase run;
  ContractWhere where;
} ContractEntry;

extern const ContractEntry contract_loop_life_cases[];
extern const ContractEntry contract_loop_schedule_cases[];
extern const ContractEntry contract_loop_fd_cases[];
extern const ContractEntry contract_loop_signal_cases[];
extern const ContractEntry contract_loop_socket_cases[];
extern const ContractEntry contract_loop_context_cases[];

/* Runs the loop, the way of the mode, until finish() is called. */
void drive      (Fixture *fixture);
void finish     (Fixture *fixture);
void finish_cb  (gpointer user_data);
/* What is ready now: one iteration of the loop, or of the context. */
void turn       (Fixture *fixture);

/* A callback that logs a text, and a notify that logs '~'. */
typedef struct
{
  Fixture *fixture;
  const char *text;
  EvpHandle *handle;           /* what it does beside logging: cancels this */
  EvpTimerHandle *timer;       /* and this */
  EvpCallback then;            /* and calls this with the fixture */
  int fd;
} Note;

Note *note        (Fixture    *fixture,
                   const char *text);
void  note_cb     (gpointer user_data);
void  note_fd_cb  (int      fd,
                   gpointer user_data);
void  note_free   (gpointer data);

/* The functions of the loop, for cases in which they succeed. */
EvpHandle      *soon        (Fixture    *fixture,
                             const char *text);
EvpHandle      *soon_then   (Fixture    *fixture,
                             const char *text,
                             EvpCallback then);
EvpTimerHandle *later       (Fixture    *fixture,
                             double      delay,
                             const char *text);
EvpHandle      *call        (Fixture    *fixture,
                             EvpCallback callback,
                             gpointer    user_data);
EvpTimerHandle *call_later  (Fixture    *fixture,
                             double      delay,
                             EvpCallback callback,
                             gpointer    user_data);
void            reader      (Fixture      *fixture,
                             int           fd,
                             EvpFdCallback callback,
                             gpointer      user_data,
                             GDestroyNotify destroy);
void            writer      (Fixture      *fixture,
                             int           fd,
                             EvpFdCallback callback,
                             gpointer      user_data,
                             GDestroyNotify destroy);

#define assert_log(fixture, text) g_assert_cmpstr ((fixture)->log->str, ==, text)

void clear_log  (Fixture *fixture);

/* Descriptors. */
void make_pipe       (int fds[2]);
void make_pair       (int fds[2]); /* connected sockets */
void put             (int fd);     /* writes a byte */
void get             (int fd);     /* reads one */
void close_both      (int fds[2]);

/* How often the loop's context went to poll since the last call. */
void  count_polls    (Fixture *fixture);
guint n_polls        (Fixture *fixture);

G_END_DECLS
