/**
 * Error classes for decisions of callers. Everything else is a plain `Error` whose message names the file, queue or
 * option, with the original error as `cause`.
 */

import { inspect } from 'node:util'
import { counted } from '../text/counted.js'
import type { CallSite } from './call-site.js'
import { showInstead } from './shown-errors.js'
import { textOf } from './thrown.js'

/** A task failed. `cause` is the task's own error, with its name, message, code, stack and cause. */
export class TaskError<T = unknown> extends Error {
  override readonly name = 'TaskError'
  /** The task that failed, as it was given. */
  readonly task: T
  /** Its id. */
  readonly id: string
  /** Which attempt failed, from 1. */
  readonly attempt: number

  /** @param options `caller`: where the run was started; `call`: the call with its arguments. Both are only printed. */
  constructor(
    message: string,
    options: {
      task: T
      id: string
      attempt: number
      cause: unknown
      caller?: CallSite | undefined
      call?: (() => string) | undefined
    },
  ) {
    super(message, { cause: options.cause })
    this.task = options.task
    this.id = options.id
    this.attempt = options.attempt
    const { id, attempt, caller, call } = options
    showInstead(this, { caller, call, properties: { id, attempt } })
  }
}

/** The error of a run of which several tasks failed; it prints the first ones. */
export function tasksFailed(
  errors: readonly TaskError[],
  failed: number,
  total: number,
  stopped: Error | undefined,
  caller: CallSite,
): AggregateError {
  const kept = failed > errors.length ? `; the first ${errors.length} are in \`errors\`` : ''
  const message = `${failed} of ${counted(total, 'task')} failed${kept}`
  const error = new AggregateError(errors, message, stopped && { cause: stopped })
  showInstead(error, { caller })
  return error
}

/** The lease expired or was taken over: the task may neither be renewed nor deleted by this holder. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError'
  /** The id of the task whose lease was lost. */
  readonly id: string

  constructor(message: string, options: { id: string; cause?: unknown }) {
    super(message, { cause: options.cause })
    this.id = options.id
  }
}

/**
 * An upload no longer belongs to this process: another one took it over, or the queue was purged. What was stored may
 * be gone. For backends with journals of uploads: any other error says that the journal could not be written.
 */
export class UploadGoneError extends Error {
  override readonly name = 'UploadGoneError'
}

/** The queue refused this one message, e.g. because it is too large; the queue itself works. */
export class MessageRefusedError extends Error {
  override readonly name = 'MessageRefusedError'
  /** The id of the message. */
  readonly id: string

  constructor(message: string, options: { id: string; cause?: unknown }) {
    super(message, { cause: options.cause })
    this.id = options.id
  }
}

/** No function or class is registered here under the name in a task. */
export class UnregisteredTaskError extends Error {
  override readonly name = 'UnregisteredTaskError'
}

/** The protocol of a queue's URL is unknown; the message lists those that are known. */
export class UnsupportedProtocolError extends Error {
  override readonly name = 'UnsupportedProtocolError'
}

/** This backend does not support the request; the message says why and what to do instead. */
export class UnsupportedOperationError extends Error {
  override readonly name = 'UnsupportedOperationError'
}

/** A part of an insert that failed: the tasks with these indices, `[start, end)`. */
export interface FailedSlice {
  readonly start: number
  readonly end: number
  /** The reason; its message has the range too. */
  readonly error: Error
}

/** An insert ended early: `inserted` tasks are in the queue, `failed` are not, `notTried` were never sent. */
export class InsertError extends Error {
  override readonly name = 'InsertError'
  /** The number of tasks that are in the queue. */
  readonly inserted: number
  /** The number of tasks that were tried and are not in the queue. */
  readonly failed: number
  /** The number of tasks that were never tried; `undefined` if the source doesn't know its length. */
  readonly notTried: number | undefined
  /** Which tasks failed, where the insert was made in slices (`parallel`, `resume`); otherwise empty. */
  readonly failedSlices: readonly FailedSlice[]

  constructor(
    message: string,
    options: {
      inserted: number
      failed: number
      notTried: number | undefined
      failedSlices?: readonly FailedSlice[]
      cause: unknown
    },
  ) {
    super(message, { cause: options.cause })
    this.inserted = options.inserted
    this.failed = options.failed
    this.notTried = options.notTried
    this.failedSlices = options.failedSlices ?? []
  }
}

/** Takes the user names and passwords out of the URLs in a text that is going to be shown. */
export function withoutUserInfo(text: string): string {
  return text.replaceAll(/:\/\/[^\s/?#]*@/g, '://…@')
}

function inspected(value: unknown): string {
  try {
    return inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 80 })
  } catch {
    return textOf(value)
  }
}

/** `Array.isArray`, which throws for a revoked proxy. */
function isList(value: unknown): boolean {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

/**
 * The one form of an argument error: ``Expected `parallel` to be an integer of 0 or more, got `-1` (number)``.
 *
 * @param name the argument as the caller wrote it, e.g. `parallel` or `options.seconds`
 * @param expected what it has to be, e.g. `an integer of 0 or more`
 * @param got the value; user names and passwords of URLs are not shown
 */
export function argumentError(name: string, expected: string, got: unknown): TypeError {
  // Before it is cut off, which may take the `@` away.
  const safe = typeof got === 'string' ? withoutUserInfo(got) : got
  const shown = inspected(safe)
  const type = got === null ? 'null' : isList(got) ? 'array' : typeof got
  return new TypeError(`Expected \`${name}\` to be ${expected}, got \`${shown}\` (${type})`)
}
