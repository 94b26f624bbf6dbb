/**
 * Blocking calls are cut into slices, so that timers, sockets and signals get their turn: one budget for the whole
 * process (thread), because ten calls that each keep to a slice would otherwise block for ten slices.
 */

// Below the 10 ms that may be blocked at a time, with room for the longest single step (a read of 1,024 names, a sort).
const sliceMs = 6

let startedMs: number | undefined
let nextTurn: Promise<void> | undefined

/**
 * Called after each blocking step. `undefined`: continue; a promise: await it first, the slice is used up.
 *
 * @param nowMs `performance.now()`
 */
export function yieldIfBusy(nowMs: number): Promise<void> | undefined {
  if (nextTurn !== undefined) return nextTurn
  if (startedMs === undefined) {
    startedMs = nowMs
    setImmediate(() => {
      startedMs = undefined
    })
    return undefined
  }
  if (nowMs - startedMs < sliceMs) return undefined
  nextTurn = new Promise(resolve =>
    setImmediate(() => {
      nextTurn = undefined
      startedMs = undefined
      resolve()
    }),
  )
  return nextTurn
}
