/**
 * The one Piscina pool, shared by everything that needs threads: local runs, workers, parallel inserts. Threads are
 * started as calls need them and end after ten idle seconds; idle ones never keep the process alive.
 */

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { MessagePort, Transferable, Worker } from 'node:worker_threads'
import { receiveMessageOnPort } from 'node:worker_threads'
import comlink from 'comlink'
import { Piscina } from 'piscina'
import { debugLog } from '../runtime/debug-log.js'
import { currentContext } from '../tasks/context.js'
import { errorFromWire } from './error-wire.js'
import { heapLimits } from './heap-limits.js'
import { ReceivedBytes } from './send-window.js'
import { threadsEnded, watchThreads } from './thread-ends.js'
import type { MainMessage, ThreadHello, ThreadHost, ThreadMessage } from './thread-messages.js'
import { outputWritten, writeOutput } from './thread-output.js'
import { inPoolThread } from './thread-place.js'
import { warnOfUnhandledError } from './unhandled-error.js'

/** An idle thread ends after this time: another run soon after finds its modules loaded. */
const idleTimeoutMs = 10_000

/**
 * The file that threads start with.
 * @throws Error if this module was bundled: then it is no longer beside that file, nor is Piscina beside its own
 */
function threadFile(): string {
  const { url } = import.meta as { readonly url?: string }
  // A bundle in the form of CommonJS has no URL.
  const file = url === undefined ? undefined : fileURLToPath(new URL('../../workers/start.cjs', url))
  if (file !== undefined && existsSync(file)) return file
  throw new Error(
    `Expected ptq to find its files for threads, but ${file ?? 'workers/start.cjs'} does not exist: ` +
      'it seems that ptq was bundled; keep it out of the bundle (esbuild: `--external:ptq`, others have the like) ' +
      'and install it where the bundle runs, or run all tasks with `parallel: 0`',
  )
}

/** A thread in a native call does not answer. Longer than an SDK gets for its export, see {@link flushSpans}. Milliseconds. */
const maxFlushMs = 6_000

/** A message that is not for the pool itself. */
export type RunMessage = Exclude<ThreadMessage, { readonly type: 'spans-flushed' }>

/** Callbacks for messages and errors of the threads. */
export interface ThreadListener extends ThreadHost {
  /** A message from the thread with this number. */
  onMessage(message: RunMessage, thread: number): void
  /**
   * A thread crashed before it took a call, which would then wait without end: calls that have not begun are to be aborted.
   * Returns true if there were any.
   */
  onSpawnError(error: Error): boolean
  /** A message from the thread with this number can't be deserialized here; what was in it is lost. */
  onUnreadable(thread: number): void
}

/** A thread's ends of its ports, in the main thread. */
interface ThreadPorts {
  readonly messages: MessagePort
  readonly calls: MessagePort
  readonly received: ReceivedBytes
}

/** The items of Node's list, which Piscina's type accepts. */
type MovedList = NonNullable<Parameters<Piscina['run']>[1]>['transferList'] & {}

const pools = new Map<string, ThreadPool>()

/**
 * The threads for a run. Runs with the same memory limit share one pool: a limit is set when a thread starts.
 *
 * @param maxMemoryMb heap of each thread; `undefined`: as much as the main thread's
 */
export class ThreadPool {
  readonly #piscina: Piscina
  readonly #ports = new Map<number, ThreadPorts>()
  readonly #listeners = new Set<ThreadListener>()
  /** Calls that have not ended. */
  #calls = 0
  /** Its threads were given tasks of traces: an SDK in them may hold spans. */
  mayHaveSpans = false
  /** Threads whose SDK is still to export its spans. */
  readonly #flushing = new Map<number, () => void>()

  private constructor(maxMemoryMb: number | undefined) {
    this.#piscina = new Piscina({
      filename: threadFile(),
      // The export that Piscina loads before the first call; if it is missing, Piscina looks for another.
      name: 'run',
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: idleTimeoutMs,
      // With atomics an idle thread blocks its event loop, and work that a task left (e.g. a socket to close) would
      // stop.
      atomics: 'disabled',
      recordTiming: false,
      // A file of tasks may read its settings there.
      argv: process.argv.slice(2),
      resourceLimits: heapLimits(maxMemoryMb),
    })
    this.#piscina.on('message', (hello: ThreadHello) => this.#connect(hello))
    // A thread may crash while idle (e.g. by a timer that a task left): the next call gets a new one. Without a
    // listener the event would end the process.
    this.#piscina.on('error', (error: Error) => {
      const handled = [...this.#listeners].map(listener => listener.onSpawnError(error))
      if (handled.includes(true)) return
      process.emitWarning(`A pool thread died while it had nothing to do: ${error.message}`, {
        detail: error.stack ?? '',
      })
    })
  }

  /**
   * Joins the pool; {@link leave} must follow.
   * @throws Error in a pool thread outside a task: a script that a thread imports must not start the same work again
   */
  static join(listener: ThreadListener, maxMemoryMb: number | undefined): ThreadPool {
    refuseInThread()
    const key = String(maxMemoryMb)
    let pool = pools.get(key)
    if (pool === undefined) {
      pool = new ThreadPool(maxMemoryMb)
      pools.set(key, pool)
    }
    pool.#listeners.add(listener)
    return pool
  }

  /** Ends the use. The threads idle for a while, so that the next run finds them warm. */
  leave(listener: ThreadListener): void {
    this.#listeners.delete(listener)
    // Threads that were stopped because of a task.
    void threadsEnded(ThreadPool.#threads)
  }

  /** The threads of all pools, except those that are being stopped. */
  static get #threads(): ReadonlySet<Worker> {
    return new Set([...pools.values()].flatMap(pool => pool.#piscina.threads))
  }

  /** Stops the unused threads at once; resolves when they have ended, or are given up in a native call. */
  static async stopUnused(): Promise<void> {
    const unused = [...pools].filter(([, pool]) => pool.#listeners.size === 0)
    for (const [key] of unused) pools.delete(key)
    if (unused.some(([, pool]) => pool.mayHaveSpans)) await Promise.all(unused.map(([, pool]) => pool.#flushSpans()))
    const destroyed = Promise.all(unused.map(([, pool]) => pool.#piscina.destroy()))
    const ended = threadsEnded(ThreadPool.#threads)
    await Promise.race([destroyed.then(() => ended), ended])
  }

  /**
   * Runs an export of workers/thread.ts in a thread. An abort of `signal` stops the thread itself. Rejects if the
   * thread dies.
   */
  async run<Message, Report>(
    name: 'run' | 'insert',
    message: Message,
    signal: AbortSignal,
    moved: readonly Transferable[] = [],
  ): Promise<Report> {
    // The callers bound the number of threads: each has at most its own `parallel` calls in flight.
    const { options } = this.#piscina
    options.maxThreads = Math.max(options.maxThreads, ++this.#calls)
    try {
      const running = this.#piscina.run(message, {
        name,
        signal,
        ...(moved.length > 0 && { transferList: [...moved] as MovedList }),
      })
      watchThreads(this.#piscina.threads)
      return await running
    } finally {
      this.#calls--
    }
  }

  /** Resolves when the threads' output has left this process. */
  printed(): Promise<void> {
    return outputWritten()
  }

  /** Stops a thread whose call was rejected, before it gets another one; false if it had ended. */
  async stopThread(thread: number): Promise<boolean> {
    const alive = this.#piscina.threads.find(({ threadId }) => threadId === thread)
    await alive?.terminate()
    return alive !== undefined
  }

  /** Has the SDKs in its threads export what they hold; resolves when they have, or have ended. */
  async #flushSpans(): Promise<void> {
    if (!this.mayHaveSpans) return
    const flushed = [...this.#ports].map(([thread, { messages }]) => {
      messages.postMessage({ type: 'flush-spans' } satisfies MainMessage)
      return new Promise<void>(resolve => this.#flushing.set(thread, resolve))
    })
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise(resolve => {
      timer = setTimeout(resolve, maxFlushMs)
    })
    await Promise.race([Promise.all(flushed), timeout])
    clearTimeout(timer)
  }

  #flushed(thread: number): void {
    this.#flushing.get(thread)?.()
    this.#flushing.delete(thread)
  }

  /** Sends a message to a thread; dropped if the thread is gone. */
  send(thread: number, message: MainMessage): void {
    this.#ports.get(thread)?.messages.postMessage(message)
  }

  /**
   * Handles every message that threads have posted so far. A call's end comes through another port than the outcomes of
   * its tasks, and may overtake them; posting is synchronous, so all messages before the end can be read by then.
   */
  receiveAll(): void {
    for (const [thread, ports] of this.#ports) this.#receive(thread, ports)
  }

  #receive(thread: number, ports: ThreadPorts): void {
    for (;;) {
      let next: { readonly message: ThreadMessage } | undefined
      try {
        next = receiveMessageOnPort(ports.messages)
      } catch {
        // As the event `messageerror`: the messages behind the unreadable one are still read.
        this.#unreadable(thread)
        continue
      }
      if (next === undefined) return
      this.#dispatch(next.message, thread, ports.received)
    }
  }

  #unreadable(thread: number): void {
    for (const listener of this.#listeners) listener.onUnreadable(thread)
  }

  #dispatch(message: ThreadMessage, thread: number, received: ReceivedBytes): void {
    if (message.type === 'printed') {
      writeOutput(message.stream, message.text, message.encoding, () => received.take(message.bytes))
      return
    }
    if (message.type === 'spans-flushed') {
      this.#flushed(thread)
      return
    }
    if (message.type === 'unhandled-error') {
      // Belongs to no run: reported to one listener, or, after the end of all runs, as a warning.
      const [listener] = this.#listeners
      if (listener === undefined) warnOfUnhandledError(message.taskId, errorFromWire(message.error))
      else listener.onMessage(message, thread)
      return
    }
    for (const listener of this.#listeners) listener.onMessage(message, thread)
    if ('bytes' in message) received.take(message.bytes)
  }

  #connect({ ptqThread, taken, messages, calls }: ThreadHello): void {
    const received = new ReceivedBytes(taken)
    this.#ports.set(ptqThread, { messages, calls, received })
    watchThreads(this.#piscina.threads)
    debugLog('thread %d: started, %d in this pool', ptqThread, this.#piscina.threads.length)
    messages.on('message', (message: ThreadMessage) => this.#dispatch(message, ptqThread, received))
    // A thread's stack is larger than that of the main thread: it can send what is nested too deeply to be read here.
    messages.on('messageerror', () => this.#unreadable(ptqThread))
    messages.on('close', () => {
      this.#ports.delete(ptqThread)
      this.#flushed(ptqThread)
      debugLog('thread %d: ended', ptqThread)
    })
    const host: ThreadHost = {
      renew: async (...args) => {
        for (const listener of this.#listeners) await listener.renew(...args)
      },
    }
    comlink.expose(host, calls)
    // Listening refs the ports; only a call in flight may keep the process alive.
    messages.unref()
    calls.unref()
  }
}

/**
 * Refuses to start threads from a thread, except inside a task. A thread that imports a script which starts a run would
 * otherwise start threads that import it in turn, without end.
 */
export function refuseInThread(): void {
  if (!inPoolThread() || currentContext() !== undefined) return
  throw new Error(
    'Expected work to be started by the main thread only, but a pool thread that imported this file for its tasks came ' +
      'here too; move the tasks to a module of their own, or guard what starts the work with `if (isMainThread)` from ' +
      'node:worker_threads',
  )
}
