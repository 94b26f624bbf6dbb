/**
 * Values that are there now (from a blocking call) or later (from a pooled one). A blocking call costs a few
 * microseconds and a task takes three of them; the dozen promises that `await` would make of these cost as much again.
 * So the code that every task runs checks each value for a promise, code that many tasks run uses these two functions,
 * and all other code uses `await`, which takes both kinds.
 */
export type Awaitable<T> = T | Promise<T>

/**
 * True for a promise. Not decided by its class: in a separate context (Jest, `node:vm`) Node's promises have another.
 */
export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value
}

/** `value.then(next)`, at once where the value is there. */
export function after<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isPromise(value) ? value.then(next) : next(value)
}

/** `work().catch(failed)`, at once where the value or the error is there. */
export function rescue<T, U>(work: () => Awaitable<T>, failed: (error: unknown) => Awaitable<U>): Awaitable<T | U> {
  try {
    const value = work()
    return isPromise(value) ? value.catch(failed) : value
  } catch (error) {
    return failed(error)
  }
}
