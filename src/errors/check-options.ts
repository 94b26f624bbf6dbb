/** Checks of options that several calls share. Each throws a TypeError in the one form of argument errors. */
import { availableParallelism } from 'node:os'
import { nearest } from '../text/nearest.js'
import { argumentError } from './errors.js'
import { isAbortSignal } from './thrown.js'

/** `parallel` as a number of threads: `true` means all cores, 0 the calling thread. */
export function checkParallel(parallel: unknown, defaultThreads: number): number {
  if (parallel === undefined) return defaultThreads
  if (parallel === true) return availableParallelism()
  return checkInteger('parallel', parallel, 0, ', or true for all cores')
}

/** An integer of at least `min`. */
export function checkInteger(name: string, value: unknown, min: number, alternative = ''): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min) return value
  throw argumentError(name, `an integer of ${min} or more${alternative}`, value)
}

/** A finite number above 0, or `undefined`. */
export function checkPositive(name: string, value: unknown): number | undefined {
  if (value === undefined || (typeof value === 'number' && value > 0 && Number.isFinite(value))) return value
  throw argumentError(name, 'a number above 0', value)
}

/** A boolean, with its default. */
export function checkBoolean(name: string, value: unknown, byDefault: boolean): boolean {
  if (value === undefined) return byDefault
  if (typeof value === 'boolean') return value
  throw argumentError(name, 'true or false', value)
}

/** A function, or `undefined`. */
export function checkFunction<F>(name: string, value: F | undefined): F | undefined {
  if (value === undefined || typeof value === 'function') return value
  throw argumentError(name, 'a function', value)
}

/** An AbortSignal, or `undefined`. */
export function checkSignal(name: string, value: AbortSignal | undefined): AbortSignal | undefined {
  if (value === undefined || isAbortSignal(value)) return value
  throw argumentError(name, 'an AbortSignal', value)
}

/** Refuses unknown options: a misspelt one would silently do nothing. */
export function checkNames(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw argumentError(what, 'an object', options)
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    const meant = nearest(name, known)
    const hint = meant === undefined ? '' : `. Did you mean \`${meant}\`?`
    throw new TypeError(`Expected ${what} to be among ${known.join(', ')}, got \`${name}\`${hint}`)
  }
}
