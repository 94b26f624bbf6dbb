/** A pool thread's connection to the main thread. */
import type { MessagePort, Transferable } from 'node:worker_threads'
import type { Remote } from 'comlink'
import { errorFromWire, errorToWire } from '../src/threads/error-wire.js'
import { bytesOf, SendWindow } from '../src/threads/send-window.js'
import type {
  ChunkMessage,
  MainMessage,
  TaskOutput,
  ThreadHost,
  ThreadMessage,
} from '../src/threads/thread-messages.js'
import { flushSpans } from '../src/tracing/open-telemetry.js'
import { exitThread } from './exit-thread.js'

/** A task that awaits something in this thread. */
export interface PendingTask {
  /** The number of its chunk, and its place there. */
  readonly chunk: number
  readonly index: number
  /** Aborts the signal that the task sees. */
  abort(reason: unknown): void
}

export class ThreadLink {
  static #current: ThreadLink | undefined
  readonly #post: MessagePort['postMessage']
  readonly #window: SendWindow
  /** The main thread's functions; a call resolves when it has ended there. */
  readonly host: Remote<ThreadHost>
  readonly #running = new Set<PendingTask>()
  /** Takes a further chunk for the run in this thread; unset while there is none. */
  onMore: ((firstChunk: number, chunk: ChunkMessage) => void) | undefined

  private constructor(port: MessagePort, host: Remote<ThreadHost>, taken: Int32Array) {
    this.#post = port.postMessage.bind(port)
    this.#window = new SendWindow(taken)
    this.host = host
  }

  /** Opens the connection; once a thread. */
  static open(port: MessagePort, host: Remote<ThreadHost>, taken: Int32Array): ThreadLink {
    ThreadLink.#current = new ThreadLink(port, host, taken)
    return ThreadLink.#current
  }

  /** This thread's connection. */
  static get current(): ThreadLink {
    if (ThreadLink.#current === undefined) throw new Error('Expected the connection to the main thread to be open')
    return ThreadLink.#current
  }

  /** Posts a message; it is in the main thread's queue when this returns, whatever happens to this thread then. */
  post(message: ThreadMessage, moved: readonly Transferable[] = []): void {
    this.#post(message, moved)
  }

  /**
   * Posts progress, log lines and output of tasks at once: lines kept back would be lost with a thread that is stopped.
   * Blocks while too much is posted and not taken.
   */
  send(output: TaskOutput, length: number): void {
    const bytes = bytesOf(length)
    this.#window.add(bytes)
    this.#post({ ...output, bytes } satisfies ThreadMessage)
  }

  /** Reports an error of the code that runs tasks, which is no task's error, and ends the thread. */
  crash(thrown: unknown): never {
    try {
      this.post({ type: 'broken', error: errorToWire(thrown) })
    } finally {
      exitThread()
    }
  }

  /** Notes a task that awaits something, so that it can be asked to end. */
  begin(task: PendingTask): void {
    this.#running.add(task)
  }

  end(task: PendingTask): void {
    this.#running.delete(task)
  }

  /** The tasks that await something. */
  get running(): ReadonlySet<PendingTask> {
    return this.#running
  }

  /** Handles a message of the main thread. */
  receive(message: MainMessage): void {
    if (message.type === 'flush-spans') {
      void flushSpans().then(() => this.post({ type: 'spans-flushed' }))
      return
    }
    if (message.type === 'more') {
      this.onMore?.(message.firstChunk, message.chunk)
      return
    }
    for (const task of this.#running) {
      if (task.chunk === message.chunk && task.index === message.index) task.abort(errorFromWire(message.reason))
    }
  }
}
