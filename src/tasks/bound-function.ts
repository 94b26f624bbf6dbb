/** A registered function of which one argument is still to come, as plain data that threads can be sent. */

import { partial } from './partial.js'
import type { FunctionKey } from './payload.js'
import { FunctionTask } from './task.js'

/** The function's key, and the arguments that come before the last one. */
export interface BoundFunction {
  readonly key: FunctionKey
  readonly args: readonly unknown[]
  readonly kwargs: Readonly<Record<string, unknown>>
}

/** @throws UnregisteredTaskError if `fn` was not registered by `queueable` */
export function boundFunction<A, R>(fn: ((last: A) => R) | FunctionTask<[A], R>): BoundFunction {
  const { key, args, kwargs } = fn instanceof FunctionTask ? fn : partial(fn as (...args: never[]) => unknown)
  return { key, args, kwargs }
}

/** The task that has all arguments. */
export function callWith<R>({ key, args, kwargs }: BoundFunction, last: unknown): FunctionTask<[], R> {
  return new FunctionTask<[], R>(key, [...args, last], kwargs)
}
