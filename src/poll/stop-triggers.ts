/** What ends a worker from outside: signals of the system, an AbortSignal, the close of the queue, a moment in time. */
import { onStopSignals } from '../stop-signals.js'
import type { WorkerParts } from './worker-parts.js'

/** What to do when one of them comes. */
export interface StopTriggersOwner {
  /** Called by the first one; may be called again. */
  stop(): void
  /** A second signal came: what has to be done at once. */
  leave(): Promise<void>
}

/** Listens until `dispose` is called. */
export function onStopTriggers(parts: WorkerParts, owner: StopTriggersOwner): { dispose(): void } {
  const { closing, clock, settings } = parts
  const { signal, untilMs } = settings
  const stop = () => owner.stop()
  const signals = onStopSignals({ signals: ['SIGINT', 'SIGTERM'], stop, leave: () => owner.leave() })
  for (const abort of [signal, closing]) {
    if (abort?.aborted) stop()
    else abort?.addEventListener('abort', stop, { once: true })
  }
  const cancelAlarm = untilMs === undefined ? undefined : clock.setAlarm(Math.max(0, untilMs - clock.nowMs()), stop)
  return {
    dispose: () => {
      cancelAlarm?.()
      signals.dispose()
      for (const abort of [signal, closing]) abort?.removeEventListener('abort', stop)
    },
  }
}
