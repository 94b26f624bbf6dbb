/** Waits of any length. */

import { systemClock } from './clock.js'
import { onAbort } from './on-abort.js'

/** Resolves after `ms`, or when one of `signals` is aborted. Leaves no timer and no listener behind. */
export function sleep(ms: number, ...signals: readonly (AbortSignal | undefined)[]): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      cancelAlarm()
      for (const stop of listening) stop()
      resolve()
    }
    const cancelAlarm = systemClock.setAlarm(ms, end)
    const listening = signals.map(signal => onAbort(signal, () => void Promise.resolve().then(end)))
  })
}
