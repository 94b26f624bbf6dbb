/** A clock that all threads of the process share and that nobody sets: `performance.now()` starts anew in each thread. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
