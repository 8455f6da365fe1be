/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#ifndef EVP_INSIDE
# define EVP_INSIDE
# define EVP_UNDEF_INSIDE
#endif

#include "evp/base/evp-enums.h"
#include "evp/base/evp-error.h"
#include "evp/base/evp-exit-status.h"
#include "evp/base/evp-types.h"
#include "evp/base/evp-version.h"
#include "evp/evp-enum-types.h"
#include "evp/evp-global.h"
#include "evp/evp-loop-subprocess.h"
#include "evp/handle/evp-handle.h"
#include "evp/handle/evp-timer-handle.h"
#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/loop/evp-base-event-loop.h"
#include "evp/loop/evp-exception-context.h"
#include "evp/loop/evp-executor.h"
#include "evp/loop/evp-future.h"
#include "evp/loop/evp-loop-sockets.h"
#include "evp/loop/evp-loop-files.h"
#include "evp/loop/evp-loop-statistics.h"
#include "evp/loop/evp-proactor-event-loop.h"
#include "evp/loop/evp-running-loop.h"
#include "evp/loop/evp-selector-event-loop.h"
#include "evp/loop/evp-turn-source.h"
#include "evp/net/evp-connection-options.h"
#include "evp/net/evp-loop-names.h"
#include "evp/net/evp-loop-sendfile.h"
#include "evp/net/evp-loop-tls.h"
#include "evp/net/evp-server-options.h"
#include "evp/net/evp-server.h"
#include "evp/net/evp-socket-connection.h"
#include "evp/net/evp-tls-options.h"
#include "evp/net/evp-datagram-endpoint.h"
#include "evp/net/evp-datagram-options.h"
#include "evp/net/evp-loop-datagrams.h"
#include "evp/net/evp-loop-names.h"
#include "evp/net/evp-loop-network.h"
#include "evp/net/evp-loop-sendfile.h"
#include "evp/net/evp-server-options.h"
#include "evp/net/evp-socket-connection.h"
#include "evp/os/evp-capabilities.h"
#include "evp/policy/evp-abstract-event-loop-policy.h"
#include "evp/policy/evp-base-event-loop-policy.h"
#include "evp/policy/evp-default-event-loop-policy.h"
#include "evp/policy/evp-main-context-event-loop-policy.h"
#include "evp/policy/evp-proactor-event-loop-policy.h"
#include "evp/policy/evp-selector-event-loop-policy.h"
#include "evp/policy/evp-windows-proactor-event-loop-policy.h"
#include "evp/policy/evp-windows-selector-event-loop-policy.h"
#include "evp/proactor/evp-gio-proactor.h"
#include "evp/proactor/evp-operation.h"
#include "evp/proactor/evp-proactor.h"
#include "evp/proactor/evp-uring-proactor.h"
#include "evp/process/evp-subprocess-options.h"
#include "evp/process/evp-subprocess.h"
#include "evp/selector/evp-epoll-selector.h"
#include "evp/selector/evp-poll-selector.h"
#include "evp/selector/evp-select-selector.h"
#include "evp/selector/evp-selector-key.h"
#include "evp/selector/evp-selector.h"
#ifdef __has_include
# if __has_include (<sys/event.h>)
#  include "evp/selector/evp-kqueue-selector.h"
# endif
#endif
#include "evp/watcher/evp-abstract-child-watcher.h"
#include "evp/watcher/evp-base-child-watcher.h"
#include "evp/watcher/evp-child-handler.h"
#include "evp/watcher/evp-fast-child-watcher.h"
#include "evp/watcher/evp-glib-child-watcher.h"
#include "evp/watcher/evp-multi-loop-child-watcher.h"
#include "evp/watcher/evp-pidfd-child-watcher.h"
#include "evp/watcher/evp-safe-child-watcher.h"
#include "evp/watcher/evp-threaded-child-watcher.h"

#ifdef EVP_UNDEF_INSIDE
# undef EVP_INSIDE
# undef EVP_UNDEF_INSIDE
#endif
