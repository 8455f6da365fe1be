// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What overrides/Evp.js adds, for TypeScript: generate-types.py makes evp-overrides.d.ts of it.

declare module 'gi://Evp?version=1.0' {
    import Gio from 'gi://Gio?version=2.0';

    export namespace Evp {
        /** Runs a program in the default main context, and returns what its promise or future gave. */
        function run<T, A extends unknown[]>(main: (loop: AbstractEventLoop, ...args: A) => PromiseLike<T>, ...args: A): T;

        /** Further arguments go to the callback; an exception in it, or in its promise, to the exception handler. */
        interface AbstractEventLoop {
            call_soon<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle;
            /** As in asyncio, it returns the handle. */
            call_soon_threadsafe<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle;
            call_soon_threadsafe_handle<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle;
            call_later<A extends unknown[]>(delay: number, callback: (...args: A) => unknown, ...args: A): TimerHandle;
            call_at<A extends unknown[]>(when: number, callback: (...args: A) => unknown, ...args: A): TimerHandle;
            add_reader<A extends unknown[]>(fd: number, callback: (fd: number, ...args: A) => unknown, ...args: A): boolean;
            add_writer<A extends unknown[]>(fd: number, callback: (fd: number, ...args: A) => unknown, ...args: A): boolean;
            add_signal_handler<A extends unknown[]>(
                signum: number, callback: (signum: number, ...args: A) => unknown, ...args: A): boolean;
            set_exception_handler<A extends unknown[]>(
                handler: ((loop: AbstractEventLoop, context: ExceptionContext, ...args: A) => void) | null, ...args: A): void;
            /** Returns the result. */
            run_until_complete(future: Future): any;
        }

        interface AbstractChildWatcher {
            add_child_handler<A extends unknown[]>(
                pid: number, callback: (pid: number, returncode: number, ...args: A) => unknown, ...args: A): boolean;
        }

        /** Futures can be awaited, and take any value and any error. */
        interface Future {
            then<T = any, E = never>(
                fulfilled?: ((value: any) => T | PromiseLike<T>) | null,
                rejected?: ((error: any) => E | PromiseLike<E>) | null): globalThis.Promise<T | E>;
            catch<E = never>(rejected?: ((error: any) => E | PromiseLike<E>) | null): globalThis.Promise<any>;
            finally(callback?: (() => void) | null): globalThis.Promise<any>;
            get_result(): any;
            await_async(cancellable?: Gio.Cancellable | null): globalThis.Promise<any>;
            set_result(value?: unknown): boolean;
            set_error(error: unknown): boolean;
            add_done_callback<A extends unknown[]>(callback: (future: Future, ...args: A) => unknown, ...args: A): number;
        }

        interface Subprocess {
            /** Null while it runs, as is the property `returncode`, of which TypeScript cannot be told. */
            get_returncode(): number | null;
        }

        interface ExceptionContext {
            /** What was thrown, if it was thrown in JavaScript, else a GLib.Error. */
            exception?: any;
        }
    }
}
