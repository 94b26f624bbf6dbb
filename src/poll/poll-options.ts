/** Options of `poll` and their checks. */
import { types } from 'node:util'
import { type CommandOptions, type CommandSettings, commandSettings } from '../commands/command-options.js'
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkNames,
  checkParallel,
  checkPositive,
  checkSignal,
} from '../errors/check-options.js'
import { argumentError } from '../errors/errors.js'
import { isError, isInstanceOf, nameOf } from '../errors/thrown.js'
import type { LeasedTask } from '../queue/queued-task.js'
import { errorClasses } from '../threads/error-wire.js'
import { refuseEmptied } from '../threads/small-clone.js'

/** The argument of `stopFn`. */
export interface PollState {
  /** Tasks that this worker ran to their end and removed. */
  readonly executed: number
  /** Attempts of this worker that failed. */
  readonly failed: number
  /** Number of empty lease requests since the last task was found. */
  readonly tries: number
  /** Duration of the last task; `undefined` before the first. */
  readonly previousExecutionSeconds: number | undefined
  readonly elapsedSeconds: number
}

/** An error that makes the worker back off: its class, or its name (`'TimeoutError'`). */
export type BackoffException = string | (abstract new (...args: never[]) => Error)

/** Options of `TaskQueue.poll`. */
export interface PollOptions {
  /** Length of a lease; renewed at half of it while the task runs. Default 600. */
  readonly leaseSeconds?: number
  /** Number of tasks that run at once, each in a thread. `true`: one for each core; 0: in the calling thread. Default 1. */
  readonly parallel?: number | true
  /** Print a line for each step. Default false. */
  readonly verbose?: boolean
  /** Count completions in the queue. Default false. */
  readonly tally?: boolean
  /**
   * Called after each task and after each empty lease request; true ends the worker. With it, tasks are leased one by
   * one.
   */
  readonly stopFn?: (state: PollState) => boolean
  /** Called with each task after its lease and before its run; may be async. What it throws ends the worker. */
  readonly beforeFn?: (task: LeasedTask) => unknown
  /** Called with each task after it was removed; may be async. What it throws ends the worker. */
  readonly afterFn?: (task: LeasedTask) => unknown
  /** Extra arguments for `execute`; cloned into threads. Default none. */
  readonly executeArgs?: readonly unknown[]
  /**
   * Errors of tasks or of the queue that make the worker back off: a task is released, no attempt is counted, and the
   * worker leases no more for a random time below a window that doubles each time, as when the queue is empty.
   */
  readonly backoffExceptions?: readonly BackoffException[]
  /** The first wait when the queue is empty is a random time below this; the window doubles. Default 1. */
  readonly minBackoffSeconds?: number
  /** The window grows no further than this. Default 120. */
  readonly maxBackoffSeconds?: number
  /** @deprecated The former name of `minBackoffSeconds`. */
  readonly minBackoffWindow?: number
  /** @deprecated The former name of `maxBackoffSeconds`. */
  readonly maxBackoffWindow?: number
  /** Its abort ends the worker as the first Ctrl-C does. */
  readonly signal?: AbortSignal
  /** A task that runs longer fails, and is stopped with its thread. Needs threads. Default: no limit. */
  readonly timeoutSeconds?: number
  /** A task that needs more memory fails alone, see LocalTaskQueueOptions. Needs threads. */
  readonly maxMemoryMb?: number
  /**
   * After this number of attempts that failed, or that ended with the worker while the task ran alone, the task moves
   * to the dead letters. Default 5.
   */
  readonly maxAttempts?: number
  /** URL of the dead-letter queue. Default: the queue's own (fq: the queue `failed` inside its folder). */
  readonly deadLetter?: string
  /** `retry` (default): see `maxAttempts`. `throw`: the first failure ends the worker with its TaskError. */
  readonly onError?: 'retry' | 'throw'
  /** End when the queue is empty and stays so, including tasks that others run. Default false: poll until stopped. */
  readonly untilEmpty?: boolean
  /** Time for running tasks after a signal, before they are stopped and released. Default: as long as they need. */
  readonly graceSeconds?: number
  /** URL of the queue that keeps the outcomes of `TaskQueue.map`. Default: this queue, where it can (fq, mem). */
  readonly results?: string
  /**
   * Run commands (`ptq run --queue`), and nothing else, `parallel` at once, without threads. Anyone who can write to the queue then decides
   * which programs this worker runs, see SECURITY.md. Default false.
   */
  readonly commands?: boolean | CommandOptions
  /** Nothing is leased that would not end by then, judged by the longest task so far. Default: SLURM_JOB_END_TIME, if set. */
  readonly until?: Date
}

/** The options, checked and with their defaults. */
export interface PollSettings {
  readonly leaseSeconds: number
  readonly parallel: number
  readonly verbose: boolean
  readonly tally: boolean
  readonly stopFn: ((state: PollState) => boolean) | undefined
  readonly beforeFn: ((task: LeasedTask) => unknown) | undefined
  readonly afterFn: ((task: LeasedTask) => unknown) | undefined
  readonly executeArgs: readonly unknown[]
  readonly backoffExceptions: readonly BackoffException[]
  readonly minBackoffSeconds: number
  readonly maxBackoffSeconds: number
  readonly signal: AbortSignal | undefined
  readonly timeoutSeconds: number | undefined
  readonly maxMemoryMb: number | undefined
  readonly maxAttempts: number
  readonly deadLetter: string | undefined
  readonly onError: 'retry' | 'throw'
  readonly untilEmpty: boolean
  readonly graceSeconds: number | undefined
  readonly results: string | undefined
  readonly commands: CommandSettings | undefined
  /** Milliseconds since 1970. */
  readonly untilMs: number | undefined
  /** True if `untilMs` is from `SLURM_JOB_END_TIME`. */
  readonly isUntilSlurms: boolean
}

const names = [
  'leaseSeconds',
  'parallel',
  'verbose',
  'tally',
  'stopFn',
  'beforeFn',
  'afterFn',
  'executeArgs',
  'backoffExceptions',
  'minBackoffSeconds',
  'maxBackoffSeconds',
  'minBackoffWindow',
  'maxBackoffWindow',
  'signal',
  'timeoutSeconds',
  'maxMemoryMb',
  'maxAttempts',
  'deadLetter',
  'onError',
  'untilEmpty',
  'graceSeconds',
  'results',
  'commands',
  'until',
] as const satisfies readonly (keyof PollOptions)[]

/** @throws TypeError for an unknown option, or a value that its documentation doesn't allow */
export function pollSettings(options: PollOptions): PollSettings {
  checkNames('options of poll', options, names)
  const { executeArgs = [], backoffExceptions = [], deadLetter, onError = 'retry', graceSeconds, results } = options
  if (!Array.isArray(executeArgs)) throw argumentError('executeArgs', 'an array', executeArgs)
  if (!Array.isArray(backoffExceptions)) throw argumentError('backoffExceptions', 'an array', backoffExceptions)
  for (const exception of backoffExceptions) {
    if (typeof exception !== 'string' && !isErrorClass(exception)) {
      throw argumentError('backoffExceptions', 'an array of classes of errors, or their names', exception)
    }
  }
  if (deadLetter !== undefined && typeof deadLetter !== 'string') {
    throw argumentError('deadLetter', 'the URL of a queue', deadLetter)
  }
  if (results !== undefined && typeof results !== 'string')
    throw argumentError('results', 'the URL of a queue', results)
  if (onError !== 'retry' && onError !== 'throw') throw argumentError('onError', "'retry' or 'throw'", onError)
  const minBackoffSeconds = secondsOf('minBackoffSeconds', 'minBackoffWindow', options) ?? 1
  const maxBackoffSeconds = secondsOf('maxBackoffSeconds', 'maxBackoffWindow', options) ?? 120
  if (maxBackoffSeconds < minBackoffSeconds) {
    throw argumentError('maxBackoffSeconds', `at least minBackoffSeconds (${minBackoffSeconds})`, maxBackoffSeconds)
  }
  const parallel = checkParallel(options.parallel, 1)
  const commands = commandSettings(options.commands, parallel)
  if (commands !== undefined && options.maxMemoryMb !== undefined) {
    throw argumentError('maxMemoryMb', 'left out with `commands`: it limits the heap of threads', options.maxMemoryMb)
  }
  if (parallel === 0 && (options.timeoutSeconds ?? options.maxMemoryMb) !== undefined) {
    throw new TypeError(
      'Expected `parallel` of 1 or more with timeoutSeconds or maxMemoryMb: only a thread can be stopped',
    )
  }
  if (parallel > 0 && !isCloneable(executeArgs)) {
    throw argumentError(
      'executeArgs',
      'values that can be cloned into a thread (with `parallel: 0` they may be any)',
      executeArgs,
    )
  }
  if (graceSeconds !== undefined && !(Number.isFinite(graceSeconds) && graceSeconds >= 0)) {
    throw argumentError('graceSeconds', 'a finite number of 0 or more', graceSeconds)
  }
  return {
    leaseSeconds: checkPositive('leaseSeconds', options.leaseSeconds) ?? 600,
    parallel,
    verbose: checkBoolean('verbose', options.verbose, false),
    tally: checkBoolean('tally', options.tally, false),
    stopFn: checkFunction('stopFn', options.stopFn),
    beforeFn: checkFunction('beforeFn', options.beforeFn),
    afterFn: checkFunction('afterFn', options.afterFn),
    executeArgs,
    backoffExceptions,
    minBackoffSeconds,
    maxBackoffSeconds,
    signal: checkSignal('signal', options.signal),
    timeoutSeconds: checkPositive('timeoutSeconds', options.timeoutSeconds),
    maxMemoryMb: checkPositive('maxMemoryMb', options.maxMemoryMb),
    maxAttempts: options.maxAttempts === undefined ? 5 : checkInteger('maxAttempts', options.maxAttempts, 1),
    deadLetter,
    onError,
    untilEmpty: checkBoolean('untilEmpty', options.untilEmpty, false),
    graceSeconds,
    results,
    commands,
    untilMs: untilMs(options.until),
    isUntilSlurms: options.until === undefined,
  }
}

/** A length of time under its name or its former one. @throws TypeError where both are given */
function secondsOf(
  name: 'minBackoffSeconds' | 'maxBackoffSeconds',
  formerName: 'minBackoffWindow' | 'maxBackoffWindow',
  options: PollOptions,
): number | undefined {
  if (options[name] === undefined) return checkPositive(formerName, options[formerName])
  if (options[formerName] === undefined) return checkPositive(name, options[name])
  throw new TypeError(`Expected \`${name}\` or \`${formerName}\`, its former name, got both`)
}

function untilMs(until: Date | undefined): number | undefined {
  if (until === undefined) {
    // Seconds since 1970, set by Slurm in each job with a time limit.
    const slurm = process.env.SLURM_JOB_END_TIME
    return slurm !== undefined && /^\d+$/.test(slurm) ? Number(slurm) * 1000 : undefined
  }
  if (types.isDate(until) && !Number.isNaN(until.getTime())) return until.getTime()
  throw argumentError('until', 'a valid Date', until)
}

/** True for an error that makes the worker back off. By name too: an error from a thread has lost its class. */
export function isBackoffException(error: unknown, exceptions: readonly BackoffException[]): boolean {
  if (exceptions.length === 0) return false
  return exceptions.some(exception => {
    if (typeof exception !== 'string' && isInstanceOf(error, exception)) return true
    const name = typeof exception === 'string' ? exception : exception.name
    return isError(error) && (nameOf(error) === name || errorClasses(error).includes(name))
  })
}

/** A class of another realm extends the `Error` of that one. */
function isErrorClass(value: unknown): boolean {
  if (typeof value !== 'function') return false
  const isErrorOf = (prototype: unknown) => Object.prototype.toString.call(prototype) === '[object Error]'
  for (let Class: unknown = value; typeof Class === 'function'; Class = Object.getPrototypeOf(Class)) {
    if (Class.name === 'Error' || isErrorOf(Class.prototype)) return true
  }
  return false
}

function isCloneable(value: unknown): boolean {
  try {
    refuseEmptied(value)
    structuredClone(value)
    return true
  } catch {
    return false
  }
}
