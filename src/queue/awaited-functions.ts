/** Awaits the caller's functions in a worker, without a deadlock if one of them closes the queue. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { isPromiseLike } from '../errors/thrown.js'

interface AwaitedCall {
  /** Aborted when the worker's queue is closed. */
  readonly closing: AbortSignal
  /** Ends the wait. */
  endWait(): void
}

const storage = new AsyncLocalStorage<AwaitedCall>()

/**
 * Calls a function of the caller's, and waits for what it returns, unless it closes the worker's queue: that close waits
 * for the worker, so the worker must not wait for it.
 *
 * @param closing aborted when the queue is closed
 */
export function callAndWait(closing: AbortSignal, call: () => unknown): Promise<void> | undefined {
  let letGo: () => void = () => undefined
  const closed = new Promise<void>(resolve => {
    letGo = resolve
  })
  // A lazy thenable (e.g. a query builder) starts its work when it is awaited, which is part of the call.
  const result = storage.run({ closing, endWait: letGo }, () => {
    const returned = call()
    // Awaiting what is no promise would cost each task a turn.
    return isPromiseLike(returned) ? Promise.resolve(returned) : undefined
  })
  if (result === undefined) return undefined
  // An error after the wait becomes an unhandled rejection, so that it is reported.
  void closed.then(() => result)
  return Promise.race([result.then(() => undefined), closed])
}

/** Called when the queue is closed: if an awaited function of its worker does that, the worker stops waiting for it. */
export function endWaitForCaller(closing: AbortSignal): void {
  const waiting = storage.getStore()
  if (waiting?.closing === closing) waiting.endWait()
}
