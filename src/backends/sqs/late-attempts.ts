/**
 * Stops requests after the end of their lease. The SDK tries each request three times by itself, and a server that
 * doesn't answer takes 15 seconds of each attempt: only a middleware between its retries and the network sees each
 * attempt.
 */
import type { SQSClient } from '@aws-sdk/client-sqs'
import { elapsedMs } from '../../time/clock.js'

/**
 * The error of an attempt that is not sent. The SDK doesn't retry it, since it is no error of a server or a network.
 */
export class LateAttemptError extends Error {
  override readonly name = 'LateAttemptError'

  constructor() {
    super('The lease ended before the request could be sent')
  }
}

/** By a command's input, which the SDK passes unchanged through its middleware; by `elapsedMs`. */
const deadlines = new WeakMap<object, number>()

/** Clients whose middleware checks deadlines; a caller's own client is not changed. */
const refusing = new WeakSet<SQSClient>()

type Middleware = <Args extends { input: object }, Reply>(next: (args: Args) => Reply) => (args: Args) => Reply

/** A client's, or that of one command. */
interface Stack {
  add(middleware: Middleware, options: { name: string; step: 'finalizeRequest'; priority: 'low' }): void
}

/** Makes a client refuse attempts after the deadline of their command. */
export function refuseLateAttempts(client: SQSClient): void {
  refusing.add(client)
  addTo(client.middlewareStack)
}

/**
 * No attempt of this command is made after the deadline.
 *
 * @returns the second argument for `send`: without one a client with cached middleware ignores the command's own
 */
export function setDeadline(
  client: SQSClient,
  command: { readonly input: object; readonly middlewareStack: Stack },
  deadlineMs: number | undefined,
): Record<string, never> | undefined {
  if (deadlineMs === undefined) return undefined
  deadlines.set(command.input, deadlineMs)
  if (refusing.has(client)) return undefined
  addTo(command.middlewareStack)
  return {}
}

function addTo(stack: Stack): void {
  stack.add(
    next => args => {
      const deadlineMs = deadlines.get(args.input)
      if (deadlineMs !== undefined && deadlineMs <= elapsedMs()) throw new LateAttemptError()
      return next(args)
    },
    // Behind the SDK's retries, which have the priority `high` in this step.
    { name: 'refuseLateAttempts', step: 'finalizeRequest', priority: 'low' },
  )
}
