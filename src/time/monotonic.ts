import { builtins } from '../runtime/builtins.js'

/** A clock that all threads of the process share and that nobody sets: `performance.now()` starts anew in each thread. */
export function monotonicMs(): number {
  return Number(builtins.hrtime()) / 1e6
}
