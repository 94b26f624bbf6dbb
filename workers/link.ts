/** A thread's line to the main thread. */
import type { MessagePort, Transferable } from 'node:worker_threads'
import type { Remote } from 'comlink'
import { errorFromWire } from '../src/threads/error-wire.js'
import type { ChunkMessage, MainMessage, ThreadHost, ThreadMessage } from '../src/threads/thread-messages.js'
import type { RunningTask } from './running-task.js'

export class ThreadLink {
  static #current: ThreadLink | undefined
  readonly #port: MessagePort
  /** The main thread's functions; each call resolves when it was carried out there. */
  readonly host: Remote<ThreadHost>
  readonly #running = new Set<RunningTask>()
  /** Takes a further chunk for the flight in this thread; unset while there is none. */
  onMore: ((flight: number, chunk: ChunkMessage) => void) | undefined
  readonly #calls = new Set<Promise<unknown>>()

  private constructor(port: MessagePort, host: Remote<ThreadHost>) {
    this.#port = port
    this.host = host
  }

  /** Opens the line; once a thread. */
  static open(port: MessagePort, host: Remote<ThreadHost>): ThreadLink {
    ThreadLink.#current = new ThreadLink(port, host)
    return ThreadLink.#current
  }

  /** This thread's line. */
  static get current(): ThreadLink {
    if (ThreadLink.#current === undefined) throw new Error('Expected the line to the main thread to be open')
    return ThreadLink.#current
  }

  /** Posts a message; it is in the main thread's queue when this returns, whatever happens to this thread then. */
  post(message: ThreadMessage, moved: readonly Transferable[] = []): void {
    this.#port.postMessage(message, moved)
  }

  /** Notes a call to the host that nobody awaits, so that {@link callsDone} does. */
  track(call: Promise<unknown>): void {
    const tracked = call.finally(() => this.#calls.delete(tracked))
    this.#calls.add(tracked)
  }

  /** Resolves when the main thread has carried out every call: a line that a task logged is printed before it counts as done. */
  async callsDone(): Promise<void> {
    if (this.#calls.size > 0) await Promise.all(this.#calls)
  }

  /** Notes a task that awaits something, so that it can be told to end. */
  begin(task: RunningTask): void {
    this.#running.add(task)
  }

  end(task: RunningTask): void {
    this.#running.delete(task)
  }

  /** The tasks that await something. */
  get running(): ReadonlySet<RunningTask> {
    return this.#running
  }

  /** Carries out what the main thread says. */
  receive(message: MainMessage): void {
    if (message.type === 'more') {
      this.onMore?.(message.flight, message.chunk)
      return
    }
    for (const task of this.#running) {
      if (task.isFor(message.chunk, message.index)) task.abort(errorFromWire(message.reason))
    }
  }
}
