/** Binds arguments to a function. */
import { argumentError, UnregisteredTaskError } from '../errors/errors.js'
import type { JsonSafeList, NotJson } from './json-safe.js'
import { registeredFunction } from './registry.js'
import { FunctionTask } from './task.js'

/** A function that {@link partial} takes. */
type Callable = ((...args: never[]) => unknown) | FunctionTask<never[]>

/** The parameters that are still to be given, under their names. */
type ParametersOf<F> =
  F extends FunctionTask<infer Rest, unknown> ? Rest : F extends (...args: infer Args) => unknown ? Args : never

/** The same, as arguments that JSON carries. */
type ArgumentsOf<F> = JsonSafeList<ParametersOf<F>>

type ResultOf<F> = F extends FunctionTask<never[], infer R> ? R : F extends (...args: never[]) => infer R ? R : never

/** The parameters without the last one, the last two, …: what may be given so far. */
type PrefixOf<Args extends unknown[]> = number extends Args['length']
  ? Args
  : Args extends []
    ? []
    :
        | Args
        | PrefixOf<Args extends [...infer Init, infer _] ? Init : Args extends [...infer Init, (infer _)?] ? Init : []>

/** The parameters that come after those given. */
type RestOf<Args extends unknown[], Given extends unknown[]> = Given extends [unknown, ...infer More]
  ? Args extends [infer _, ...infer Rest]
    ? RestOf<Rest, More>
    : Args extends [(infer _)?, ...infer Rest]
      ? RestOf<Rest, More>
      : []
  : Args

/**
 * Binds arguments to a function that `queueable` registered: `partial(print, 'hello')` is a task. May be nested,
 * `partial(partial(f, 1), 2)`. The compiler checks the types, values that JSON would change, and, when the task is
 * inserted, that no argument is missing.
 *
 * @throws UnregisteredTaskError if `fn` was not registered
 */
export function partial<F extends Callable>(
  fn: F,
  ...args: Required<ArgumentsOf<F>>
): FunctionTask<[], ResultOf<NoInfer<F>>>
// `Partial` puts an error at the argument that is wrong. It lets `undefined` through, so the result then needs an argument
// that no value can be.
export function partial<F extends Callable, Given extends Partial<ArgumentsOf<F>>>(
  fn: F,
  ...args: Given
): FunctionTask<
  NoInfer<Given> extends PrefixOf<ArgumentsOf<NoInfer<F>>>
    ? RestOf<ParametersOf<NoInfer<F>>, Given>
    : [missing: NotJson<'undefined is no argument'>],
  ResultOf<NoInfer<F>>
>
export function partial(fn: Callable, ...args: unknown[]): FunctionTask {
  if (fn instanceof FunctionTask) return new FunctionTask(fn.key, [...fn.args, ...args], fn.kwargs)
  if (typeof fn !== 'function') throw argumentError('fn', 'a function that `queueable` registered', fn)
  const code = registeredFunction(fn)
  if (code === undefined) {
    throw new UnregisteredTaskError(
      `Expected function ${fn.name || '(anonymous)'} to be registered; ` +
        'write `export const f = queueable(function f() {…})` in a module of its own and pass that',
    )
  }
  return new FunctionTask(code.key, args)
}
