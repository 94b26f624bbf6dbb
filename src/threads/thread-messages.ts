/**
 * Messages between the main thread and a pool thread. Types and numbers only. workers/link.ts sends those of a thread; pool.ts
 * receives them, and run-on-threads.ts and chunk-outcomes.ts handle those of a run.
 *
 * Tasks are sent in *chunks*. In one call of the pool a thread runs a chunk and, while it could run more tasks at once
 * than it has (`concurrency`), asks for further chunks until there are none. Such a call has the number of its first
 * chunk.
 *
 * Each task of a chunk has a slot in shared memory with its state; the thread that changes a slot by compare-and-swap owns
 * that step. So the main thread can take back tasks that have not begun, for an idle thread, and after the crash of a
 * thread it knows of each task whether it ran.
 *
 * ```text
 * waiting ──thread──▶ running ──thread──▶ succeeded | failed
 *    └──main thread──▶ withdrawn
 * ```
 *
 * A thread posts a task's outcome before it sets the slot: if a slot is `failed`, the error was posted. `done` follows
 * the outcomes of its chunk through the same port, so nothing overtakes them. Progress, log lines and output use that
 * port too: they come before the outcome of their task, and messages posted before a thread was stopped are not lost.
 */
import type { MessagePort } from 'node:worker_threads'
import type { WireError } from './error-wire.js'

/** States of a task of a chunk. */
export const slot = { waiting: 0, running: 1, succeeded: 2, failed: 3, withdrawn: 4 } as const

/** Code that a chunk's tasks call: its registered name, and the file to import first. */
export type CodeReference =
  | { readonly kind: 'function'; readonly module: string; readonly name: string; readonly url: string | undefined }
  | { readonly kind: 'class'; readonly name: string; readonly url: string | undefined }

/** A chunk of tasks for a thread. Arrays are parallel and flat, which makes the structured clone cheap. */
export interface ChunkMessage {
  readonly chunk: number
  readonly codes: readonly CodeReference[]
  /** Two entries a task: the index into `codes`; a function's arguments (array) or a class's fields (object). */
  readonly calls: readonly unknown[]
  /** Python's keyword arguments of those tasks that have some: [index of the task, kwargs]. */
  readonly kwargs: readonly (readonly [index: number, kwargs: Readonly<Record<string, unknown>>])[]
  /** Extra arguments for `execute` of those tasks that have some. */
  readonly extras: readonly (readonly [index: number, extra: readonly unknown[]])[]
  /**
   * A task's id is `idPrefix` and its own suffix: a queue has a UUID for each; if they are numbered, the first number.
   */
  readonly idPrefix: string
  readonly idSuffixes: readonly (string | number)[] | number
  /** Which attempt each task is at, or one number for all. */
  readonly attempts: readonly number[] | number
  /** The context of each task's trace; `undefined` where none is made. */
  readonly traceparents: readonly (string | undefined)[] | undefined
  /** One {@link slot} a task (Int32). */
  readonly slots: Int32Array
  /** Start of each task, by the clock of monotonic.ts; `undefined` without a time limit. */
  readonly startedAtMs: Float64Array | undefined
  /** Post the outcome of each task, with its value; otherwise only failures are posted. */
  readonly postAll: boolean
  /** With `postAll`: the value of a task has to be posted, is posted if it can be cloned, or is left out. */
  readonly values: 'required' | 'offered' | 'unwanted'
  /** Number of asynchronous tasks that run at once in this thread. */
  readonly concurrency: number
  /** Heap and buffers of the thread together; `undefined`: no limit. */
  readonly maxMemoryMb: number | undefined
}

/** Duration of a chunk. */
export interface ChunkReport {
  /** Time from the first task's beginning to the last one's end. */
  readonly elapsedMs: number
  /** Number of tasks that this thread ran. */
  readonly ran: number
}

/** A message from a thread, through its own port. */
export type ThreadMessage =
  | { readonly type: 'began'; readonly firstChunk: number }
  /** The thread imports this file now; without `url`: it has ended importing. */
  | { readonly type: 'loading'; readonly chunk: number; readonly url: string | undefined }
  | {
      readonly type: 'succeeded'
      readonly chunk: number
      readonly index: number
      readonly value: unknown
      readonly elapsedMs: number
    }
  | {
      readonly type: 'failed'
      readonly chunk: number
      readonly index: number
      readonly error: WireError
      readonly elapsedMs: number
      /** It did not run: its file could not be imported in this thread, which ends after its chunks. */
      readonly isNotLoaded: boolean
    }
  /** All of the chunk's tasks that this thread began have ended. */
  | ({ readonly type: 'done'; readonly chunk: number } & ChunkReport)
  /**
   * The thread has no task left that it has not begun, and could run `free` more at once. `received`: how many further
   * chunks it had got by then; the main thread may have sent another since.
   */
  | { readonly type: 'free-slots'; readonly firstChunk: number; readonly free: number; readonly received: number }
  /** This task is about to end its thread: `process.exit()`, or more memory than it may have. */
  | { readonly type: 'ending'; readonly chunk: number; readonly index: number; readonly error: WireError }
  /** The file of a slice's tasks, or of its queue, could not be imported in this thread, which ends now. */
  | {
      readonly type: 'slice-not-loaded'
      readonly insert: number
      /** The index of its first task. */
      readonly start: number
      readonly error: WireError
    }
  /** An error that belongs to no running task. */
  | { readonly type: 'unhandled-error'; readonly taskId: string | undefined; readonly error: WireError }
  /** The spans that ended in the thread are exported. */
  | { readonly type: 'spans-flushed' }
  /** The code that runs tasks in the thread failed; the thread ends. */
  | { readonly type: 'broken'; readonly error: WireError }
  /** Output of tasks, in any number; bounded as described in send-window.ts. */
  | (TaskOutput & { readonly bytes: number })

/** Progress, log lines and printed output of a running task. */
export type TaskOutput =
  | {
      readonly type: 'progress'
      readonly chunk: number
      readonly index: number
      readonly fraction: number
      readonly note: string | undefined
    }
  /** `context().log()`: one formatted line. */
  | { readonly type: 'log'; readonly chunk: number; readonly index: number; readonly text: string }
  /** Written to the thread's stdout or stderr, by tasks or other code in it. */
  | {
      readonly type: 'printed'
      readonly stream: 'stdout' | 'stderr'
      readonly text: string | Uint8Array
      readonly encoding: BufferEncoding
    }

/** A message to a thread, through the same port. */
export type MainMessage =
  | { readonly type: 'abort'; readonly chunk: number; readonly index: number; readonly reason: WireError }
  /** A further chunk for a thread that asked for one; dropped if the call of the pool has ended by then. */
  | { readonly type: 'more'; readonly firstChunk: number; readonly chunk: ChunkMessage }
  /** The thread is about to be stopped: it answers `spans-flushed`. */
  | { readonly type: 'flush-spans' }

/** The first message of a thread (through Piscina's own channel): its two ports. */
export interface ThreadHello {
  readonly ptqThread: number
  /** See send-window.ts. */
  readonly taken: Int32Array
  /** For {@link ThreadMessage} and {@link MainMessage}. */
  readonly messages: MessagePort
  /** For {@link ThreadHost}, by comlink. */
  readonly calls: MessagePort
}

/** Functions of the main thread that a task's context calls and awaits, by comlink. */
export interface ThreadHost {
  renew(chunk: number, index: number, seconds: number): Promise<void>
}
