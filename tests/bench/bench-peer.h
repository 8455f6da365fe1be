/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What every benchmark program shares: parameters, clocks, results, checks,
 * and the parts of a workload that must be the same for all implementations.
 * Every program is called as PROGRAM WORKLOAD [key=value]…, prints one JSON object per result, and ends with 77 if
 * it does not have the workload. */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAYBE_UNUSED __attribute__((unused))
#define CHECK(cond)                                                                 \
  do {                                                                              \
    if (!(cond)) {                                                                  \
      fprintf(stderr, "%s:%d: check failed: %s (errno %d: %s)\n", __FILE__, __LINE__, \
              #cond, errno, strerror(errno));                                       \
      exit(1);                                                                      \
    }                                                                               \
  } while (0)
#define UNSUPPORTED 77 /* exit status: this program does not have that workload */

/* ---- parameters: argv = PROGRAM WORKLOAD [key=value]... ---- */
static int bench_argc;
static char **bench_argv;
static const char *bench_impl, *bench_workload;

MAYBE_UNUSED static const char *param_str(const char *name, const char *fallback) {
  size_t len = strlen(name);
  for (int i = bench_argc - 1; i >= 2; i--)
    if (!strncmp(bench_argv[i], name, len) && bench_argv[i][len] == '=')
      return bench_argv[i] + len + 1;
  return fallback;
}
MAYBE_UNUSED static long param(const char *name, long fallback) {
  const char *s = param_str(name, NULL);
  return s ? atol(s) : fallback;
}

/* ---- results: one JSON object per line ---- */
MAYBE_UNUSED static void emit(const char *metric, double value) {
  printf("{\"impl\":\"%s\",\"workload\":\"%s\",\"params\":{", bench_impl, bench_workload);
  for (int i = 2; i < bench_argc; i++) {
    int key = (int)strcspn(bench_argv[i], "=");
    printf("%s\"%.*s\":\"%s\"", i > 2 ? "," : "", key, bench_argv[i],
           bench_argv[i][key] ? bench_argv[i] + key + 1 : "");
  }
  printf("},\"metric\":\"%s\",\"value\":%.4f}\n", metric, value);
  fflush(stdout);
}

/* ---- clocks ---- */
static inline uint64_t read_clock(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
MAYBE_UNUSED static inline uint64_t now_ns(void) { return read_clock(CLOCK_MONOTONIC); }
MAYBE_UNUSED static inline uint64_t cpu_ns(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }
MAYBE_UNUSED static inline uint64_t thread_cpu_ns(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

struct span { uint64_t wall, cpu; };
MAYBE_UNUSED static struct span span_start(void) {
  return (struct span){ .wall = now_ns(), .cpu = cpu_ns() };
}
MAYBE_UNUSED static struct span span_end(struct span start) {
  return (struct span){ .wall = now_ns() - start.wall, .cpu = cpu_ns() - start.cpu };
}
/* prints NAME_ns and NAME_cpu_ns per operation */
MAYBE_UNUSED static void emit_span(const char *name, struct span took, double ops) {
  char metric[64];
  snprintf(metric, sizeof metric, "%s_ns", name);
  emit(metric, (double)took.wall / ops);
  snprintf(metric, sizeof metric, "%s_cpu_ns", name);
  emit(metric, (double)took.cpu / ops);
}

/* ---- repeatable random numbers (splitmix64) ---- */
static uint64_t rng_state = 42;
MAYBE_UNUSED static inline uint64_t rng(void) {
  uint64_t z = rng_state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
MAYBE_UNUSED static inline unsigned rng_below(unsigned n) {
  return (unsigned)(((rng() >> 32) * n) >> 32);
}

static void *xcalloc(size_t n, size_t size) {
  void *p = calloc(n ? n : 1, size);
  CHECK(p);
  return p;
}

/* ---- timers: deadlines, order of cancelling, what is checked on firing ---- */
MAYBE_UNUSED static int *timer_deadlines(long n, int span_ms) {
  int *ms = xcalloc((size_t)n, sizeof *ms);
  for (long i = 0; i < n; i++) ms[i] = (int)rng_below((unsigned)span_ms);
  return ms;
}
MAYBE_UNUSED static int *random_order(long n) {
  int *order = xcalloc((size_t)n, sizeof *order);
  for (long i = 0; i < n; i++) order[i] = (int)i;
  for (long i = n - 1; i > 0; i--) {
    long j = rng_below((unsigned)i + 1);
    int t = order[i]; order[i] = order[j]; order[j] = t;
  }
  return order;
}
static struct { uint64_t base, last; long n, fired, inversions; double late_max_ms; } tcheck;
static inline uint64_t timer_due(int ms) { return tcheck.base + (uint64_t)ms * 1000000; }
MAYBE_UNUSED static inline bool timer_fired(uint64_t due) { /* true: that was the last one */
  tcheck.inversions += due < tcheck.last;
  tcheck.last = due;
  if ((tcheck.fired++ & 63) == 0) { /* sampled: the clock itself costs time */
    double late = ((double)now_ns() - (double)due) / 1e6;
    CHECK(late > -2.0);
    if (late > tcheck.late_max_ms) tcheck.late_max_ms = late;
  }
  return tcheck.fired == tcheck.n;
}
MAYBE_UNUSED static void timer_results(struct span insert, struct span fire) {
  CHECK(tcheck.fired == tcheck.n);
  emit("insert_cpu_ns", (double)insert.cpu / (double)tcheck.n);
  emit("fire_cpu_ns", (double)fire.cpu / (double)tcheck.n);
  emit("late_max_ms", tcheck.late_max_ms);
  emit("out_of_order", (double)tcheck.inversions);
}

/* ---- fds: a ring of pipes through which bytes travel at random ---- */
static struct { int m; int (*pipes)[2]; long events, reads, writes; } net;
MAYBE_UNUSED static void fds_setup(void) {
  net.m = (int)param("m", 100);
  net.events = param("events", 200000);
  net.pipes = xcalloc((size_t)net.m, sizeof *net.pipes);
  for (int i = 0; i < net.m; i++) CHECK(pipe2(net.pipes[i], O_NONBLOCK | O_CLOEXEC) == 0);
}
static void fds_send(void) {
  net.writes++;
  CHECK(write(net.pipes[rng_below((unsigned)net.m)][1], "x", 1) == 1);
}
MAYBE_UNUSED static void fds_start(void) {
  for (long i = param("active", 10); i > 0; i--) fds_send();
}
MAYBE_UNUSED static inline bool fds_readable(int fd) { /* true: that was the last event */
  char byte;
  CHECK(read(fd, &byte, 1) == 1 && byte == 'x');
  if (net.writes < net.events) fds_send();
  return ++net.reads == net.events;
}

/* ---- posting from other threads: P producers, FIFO per producer checked ---- */
static struct { int producers; long n, ran; long *next; pthread_t *threads; } posts;
struct post_arg { int producer; long seq; };
MAYBE_UNUSED static void posts_setup(void *(*producer)(void *)) {
  posts.producers = (int)param("producers", 1);
  posts.n = param("n", 1000000) / posts.producers * posts.producers;
  posts.next = xcalloc((size_t)posts.producers, sizeof *posts.next);
  posts.threads = xcalloc((size_t)posts.producers, sizeof *posts.threads);
  for (intptr_t i = 0; i < posts.producers; i++)
    CHECK(pthread_create(&posts.threads[i], NULL, producer, (void *)i) == 0);
}
MAYBE_UNUSED static inline bool post_ran(int producer, long seq) { /* true: that was the last one */
  CHECK(posts.next[producer] == seq);
  posts.next[producer]++;
  return ++posts.ran == posts.n;
}
MAYBE_UNUSED static void posts_finish(struct span start) {
  struct span took = span_end(start);
  for (int i = 0; i < posts.producers; i++) pthread_join(posts.threads[i], NULL);
  CHECK(posts.ran == posts.n);
  emit_span("op", took, (double)posts.n);
}
/* For loops that only have a coalescing wake-up: what their users put beside it. */
struct mq_node { struct mq_node *next; void (*fn)(struct mq_node *); int producer; long seq; };
static struct { pthread_mutex_t lock; struct mq_node *head, **tail; } mq = { .lock = PTHREAD_MUTEX_INITIALIZER, .tail = &mq.head };
MAYBE_UNUSED static void mq_push(int producer, long seq, void (*fn)(struct mq_node *)) {
  struct mq_node *n = malloc(sizeof *n);
  CHECK(n);
  *n = (struct mq_node){ .fn = fn, .producer = producer, .seq = seq };
  pthread_mutex_lock(&mq.lock);
  *mq.tail = n;
  mq.tail = &n->next;
  pthread_mutex_unlock(&mq.lock);
}
MAYBE_UNUSED static void mq_run_all(void) {
  pthread_mutex_lock(&mq.lock);
  struct mq_node *n = mq.head;
  mq.head = NULL;
  mq.tail = &mq.head;
  pthread_mutex_unlock(&mq.lock);
  while (n) {
    struct mq_node *next = n->next;
    n->fn(n);
    free(n);
    n = next;
  }
}

/* ---- echo: listening socket, reporting, and the echo step for loops without streams ---- */
enum { ECHO_BUF = 64 * 1024 };
static uint64_t echo_cpu_start;
static void echo_report(int sig) {
  (void)sig;
  char line[160]; /* CPU used since the port was printed; the process ends here */
  int len = snprintf(line, sizeof line,
                     "{\"impl\":\"%s\",\"workload\":\"echo\",\"metric\":\"server_cpu_ns\",\"value\":%llu}\n",
                     bench_impl, (unsigned long long)(cpu_ns() - echo_cpu_start));
  _exit(write(1, line, (size_t)len) == len ? 0 : 1);
}
MAYBE_UNUSED static void echo_ready(int port) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, echo_report);
  alarm(60); /* never outlive the driver */
  emit("port", port);
  echo_cpu_start = cpu_ns();
}
MAYBE_UNUSED static int echo_listen(int *port) {
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t len = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1024) == 0);
  CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
  *port = ntohs(a.sin_port);
  return fd;
}
MAYBE_UNUSED static void set_nodelay(int fd) {
  CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) == 0);
}
MAYBE_UNUSED static int echo_accept(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) set_nodelay(fd);
  return fd;
}
struct echo_conn { int fd; char *rest; size_t off, len; };
enum echo_want { ECHO_CLOSE, ECHO_READ, ECHO_WRITE };
MAYBE_UNUSED static enum echo_want echo_step(struct echo_conn *c) {
  static char buf[ECHO_BUF];
  if (c->len) { /* finish an earlier short write first */
    ssize_t w = write(c->fd, c->rest + c->off, c->len);
    if (w < 0) return errno == EAGAIN ? ECHO_WRITE : ECHO_CLOSE;
    c->off += (size_t)w;
    c->len -= (size_t)w;
    if (c->len) return ECHO_WRITE;
    return ECHO_READ;
  }
  ssize_t n = read(c->fd, buf, sizeof buf);
  if (n <= 0) return n < 0 && errno == EAGAIN ? ECHO_READ : ECHO_CLOSE;
  ssize_t w = write(c->fd, buf, (size_t)n);
  if (w < 0 && errno != EAGAIN) return ECHO_CLOSE;
  if (w < 0) w = 0;
  if (w == n) return ECHO_READ;
  if (!c->rest) c->rest = xcalloc(1, ECHO_BUF);
  c->off = 0;
  c->len = (size_t)(n - w);
  memcpy(c->rest, buf + w, c->len);
  return ECHO_WRITE;
}

/* ---- children: L that stay, S that exit at once, at most CONC of those at a time ---- */
static struct { long live, spawn, conc, spawned, exited; uint64_t spawn_cpu; pid_t *pids; } kids;
MAYBE_UNUSED static void kids_setup(void) {
  kids.live = param("live", 0);
  kids.spawn = param("spawn", 1000);
  kids.conc = param("conc", 50);
  kids.pids = xcalloc((size_t)kids.live, sizeof *kids.pids);
}
static const char *kids_path(bool stays) { return stays ? param_str("pauser", "build/pauser") : "/bin/true"; }
MAYBE_UNUSED static pid_t kids_posix_spawn(bool stays) {
  pid_t pid;
  const char *path = kids_path(stays);
  uint64_t t = thread_cpu_ns();
  CHECK(posix_spawn(&pid, path, NULL, NULL, (char *[]){ (char *)path, NULL }, NULL) == 0);
  kids.spawn_cpu += thread_cpu_ns() - t;
  return pid;
}
/* what to do after an exit: 1 = spawn another one, -1 = all have exited, 0 = wait on */
MAYBE_UNUSED static int kid_exited(int status) {
  CHECK(status == 0);
  if (++kids.exited == kids.spawn) return -1;
  return kids.spawned < kids.spawn;
}
MAYBE_UNUSED static void kids_results(struct span took) {
  CHECK(kids.exited == kids.spawn && kids.spawned == kids.spawn);
  double n = (double)kids.spawn;
  emit("spawn_cpu_ns", (double)kids.spawn_cpu / n);
  emit("notify_cpu_ns", ((double)took.cpu - (double)kids.spawn_cpu) / n);
  emit("wall_ns", (double)took.wall / n);
  for (long i = 0; i < kids.live; i++) CHECK(kill(kids.pids[i], SIGKILL) == 0);
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {}
}

/* ---- file: random 4 KiB reads; block B of the file starts with the number B ---- */
enum { BLOCK = 4096 };
static struct { const char *path; long blocks, reads, started, finished, depth; } files;
MAYBE_UNUSED static void files_setup(void) {
  files.path = param_str("path", "build/data");
  files.reads = param("reads", 200000);
  files.depth = param("depth", 32);
  int fd = open(files.path, O_RDONLY);
  CHECK(fd >= 0);
  files.blocks = (long)(lseek(fd, 0, SEEK_END) / BLOCK);
  CHECK(files.blocks > 0);
  close(fd);
}
MAYBE_UNUSED static inline uint64_t files_next(void) {
  files.started++;
  return rng_below((unsigned)files.blocks);
}
MAYBE_UNUSED static inline bool files_read(const void *buf, ssize_t n, uint64_t block) { /* true: start another */
  uint64_t got;
  memcpy(&got, buf, sizeof got);
  CHECK(n == BLOCK && got == block);
  files.finished++;
  return files.started < files.reads;
}
MAYBE_UNUSED static void files_results(struct span took) {
  CHECK(files.finished == files.reads);
  emit("reads_per_s", (double)files.reads * 1e9 / (double)took.wall);
  emit("read_cpu_ns", (double)took.cpu / (double)files.reads);
}

/* ---- main ---- */
struct workload { const char *name; void (*run)(void); };
MAYBE_UNUSED static int bench_main(const char *impl, const struct workload *all, int argc, char **argv) {
  bench_impl = impl;
  bench_argc = argc;
  bench_argv = argv;
  struct rlimit lim;
  CHECK(getrlimit(RLIMIT_NOFILE, &lim) == 0);
  lim.rlim_cur = lim.rlim_max;
  CHECK(setrlimit(RLIMIT_NOFILE, &lim) == 0);
  alarm(120); /* every run is bounded */
  for (; all->name; all++)
    if (argc > 1 && !strcmp(all->name, argv[1])) {
      bench_workload = all->name;
      all->run();
      return 0;
    }
  return UNSUPPORTED;
}
