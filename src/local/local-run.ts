/** One run of a LocalTaskQueue: connects tasks, threads, progress bar, Ctrl-C and AbortSignal. */

import { AsyncResource } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import type { CallSite } from '../errors/call-site.js'
import { TaskError } from '../errors/errors.js'
import { shownCall } from '../errors/shown-errors.js'
import { messageOf } from '../errors/thrown.js'
import { startProgress } from '../progress/progress.js'
import { onStopSignals } from '../runtime/stop-signals.js'
import { codeName } from '../tasks/registry.js'
import { counted } from '../text/counted.js'
import type { Call, Outcome } from '../threads/call.js'
import { InlineRun } from '../threads/inline-run.js'
import { ThreadRun } from '../threads/run-on-threads.js'
import type { Run, RunListener, Source } from '../threads/run-options.js'
import type { Semaphore } from '../threads/semaphore.js'
import { endAllThreads } from '../threads/thread-ends.js'
import { warnOfUnhandledError } from '../threads/unhandled-error.js'
import { onAbort } from '../time/on-abort.js'
import type { CallTracing } from '../tracing/call-tracing.js'
import { callerTracing } from './caller-tracing.js'

/** The progress of a running task, reported by `context().progress()`. */
export interface TaskProgress {
  readonly id: string
  readonly task: unknown
  /** From 0 to 1. */
  readonly fraction: number
  readonly note: string | undefined
}

/** The options of a LocalTaskQueue, checked. */
export interface LocalRunSettings {
  readonly parallel: number
  readonly semaphore: Semaphore
  readonly progress: boolean
  readonly concurrency: number
  readonly timeoutSeconds: number | undefined
  readonly maxMemoryMb: number | undefined
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((progress: TaskProgress) => void) | undefined
  readonly onLog: ((line: string, task: { readonly id: string; readonly task: unknown }) => void) | undefined
}

/** Callbacks of the caller of a run. */
export interface RunCallbacks {
  /** Each task's value as it ends; otherwise successes come without value. */
  readonly postAll: boolean
  /** `close()` ends the run instead of waiting for its end: there may be nothing left that reads its results. */
  readonly endsOnClose: boolean
  onOutcome(call: Call, outcome: Outcome, idPrefix: string): void
  readonly mayPull?: () => boolean
}

/** A run in progress. */
export interface LocalRun {
  /** Resolves when all that began has ended, with what stopped the run early (`undefined`: nothing). Rejects as the run does. */
  readonly finished: Promise<unknown>
  /** Resolves at the same time as {@link finished}, never rejects. */
  readonly ended: Promise<void>
  /** Takes no more tasks; those that run finish. */
  stop(): void
  /** Like {@link stop}, with this reason for {@link finished}. */
  stopFor(reason: unknown): void
  /** `mayPull` is true again. */
  resume(): void
  /** See {@link Run.abort}. */
  abort(call: Call, reason: Error): boolean
  /** Takes no more tasks, and aborts running ones. */
  abortAll(reason: Error): void
}

/** The tasks of a run. */
export interface LocalWork<T> {
  readonly source: Source<T>
  /** Makes a task of the source ready; what it throws ends the run. `ordinal` counts them from 0. */
  toCall(given: T, ordinal: number): Call
  /** The number of tasks, for the progress bar. */
  readonly total: number | undefined
  readonly moveInputs?: boolean
  /** The trace contexts of its calls. Default: that in which the run is started */
  readonly tracing?: CallTracing<Call> | undefined
}

/** Starts a run. */
export function startLocalRun<T>(work: LocalWork<T>, settings: LocalRunSettings, callbacks: RunCallbacks): LocalRun {
  const { source, total, moveInputs } = work
  const { parallel, semaphore, concurrency, timeoutSeconds, maxMemoryMb, signal, onProgress, onLog } = settings
  const idPrefix = `${randomUUID()}-`
  const idOf = (call: Call) => `${idPrefix}${call.idSuffix}`
  const bar = startProgress({ label: 'Running', total, enabled: settings.progress })
  let callbackError: { readonly thrown: unknown } | undefined
  // A callback that throws ends the run, not the task. It is called in the async context in which the run was started:
  // threads' messages come in that of the call that started the thread.
  const notify = AsyncResource.bind((call: () => void) => {
    try {
      call()
    } catch (thrown) {
      callbackError ??= { thrown }
      run.stop()
    }
  })
  const listener: RunListener = {
    onOutcome: (call, outcome) => {
      bar.add(1)
      callbacks.onOutcome(call, outcome, idPrefix)
    },
    onProgress: (call, fraction, note) =>
      notify(() => onProgress?.({ id: idOf(call), task: call.task, fraction, note })),
    onLog: (call, line) =>
      notify(() => (onLog ? onLog(line, { id: idOf(call), task: call.task }) : console.error(line))),
    // A local task has no lease that could run out.
    onRenew: () => Promise.resolve(),
    onUnhandledError: warnOfUnhandledError,
  }
  let ordinal = 0
  const options = {
    source,
    toCall: (given: T) => work.toCall(given, ordinal++),
    listener,
    idPrefix,
    concurrency,
    postAll: callbacks.postAll,
    tracing: work.tracing ?? callerTracing(),
    ...(moveInputs !== undefined && { moveInputs }),
    ...(callbacks.mayPull !== undefined && { mayPull: callbacks.mayPull }),
  }
  const run: Run =
    parallel === 0
      ? new InlineRun(options)
      : new ThreadRun({ ...options, parallel, semaphore, timeoutSeconds, maxMemoryMb })

  let stoppedBy: unknown
  const stopFor = (reason: unknown) => {
    stoppedBy ??= reason
    run.stop()
  }
  let exiting = false
  const leave = () => {
    exiting = true
    return endAllThreads()
  }
  const interrupt = onStopSignals({ signals: ['SIGINT'], stop: stopFor, leave })
  const stopListening = onAbort(signal, () => stopFor(signal?.reason))
  const finished = run.done
    .finally(async () => {
      // The process is about to exit: its program must not continue as if the run had ended.
      if (exiting) await new Promise(() => undefined)
      interrupt.dispose()
      stopListening()
      bar.stop()
    })
    .then(() => {
      if (callbackError !== undefined) throw callbackError.thrown
      return stoppedBy
    })
  // Avoids an unhandled rejection when only `ended` is awaited.
  const ended = finished.then(ignore, ignore)
  return {
    finished,
    ended,
    stop: () => void run.stop(),
    stopFor,
    resume: () => run.resume(),
    abort: (call, reason) => run.abort(call, reason),
    abortAll: reason => {
      run.stop()
      for (const { call } of run.running(Number.POSITIVE_INFINITY)) run.abort(call, reason)
    },
  }
}

/** The error of a task that failed; `cause` is the task's own error. */
export function taskError<T>(call: Call, cause: unknown, idPrefix: string, caller?: CallSite): TaskError<T> {
  const reason = messageOf(cause)
  const message = `Task ${codeName(call.code)} (${idPrefix}${call.idSuffix}) failed: ${reason}`
  return new TaskError(message, {
    task: call.task as T,
    id: `${idPrefix}${call.idSuffix}`,
    attempt: call.attempt,
    cause,
    caller,
    call: () => callText(call),
  })
}

function callText({ code, input, extra }: Call): string {
  return shownCall(codeName(code), Array.isArray(input) ? [...input, ...extra] : [input, ...extra])
}

/** The error of a run that was stopped before its end, by Ctrl-C or a signal. */
export function abortError(stoppedBy: unknown, ran?: number): Error {
  const by = stoppedBy === 'SIGINT' ? 'Ctrl-C (SIGINT)' : stoppedBy === 'close' ? 'close()' : 'its AbortSignal'
  const what =
    ran === undefined
      ? 'the task was not begun'
      : `${counted(ran, 'task ran to its', 'tasks ran to their')} end, the rest was not begun`
  const error = new Error(`The run was stopped by ${by}: ${what}`, { cause: stoppedBy })
  error.name = 'AbortError'
  return Object.assign(error, { code: 'ABORT_ERR' })
}

function ignore(): void {
  // Avoids an unhandled rejection.
}
