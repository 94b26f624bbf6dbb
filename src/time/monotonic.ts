import { builtins } from '../runtime/builtins.js'

/** A clock that all threads of the process share and that can't be set: `performance.now()` starts at 0 in each thread. */
export function monotonicMs(): number {
  return Number(builtins.hrtime()) / 1e6
}
