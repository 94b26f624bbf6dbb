/** Listens for what stops a worker: signals of the system, an AbortSignal, the close of the queue, `until`. */
import { endingSignals, onStopSignals } from '../runtime/stop-signals.js'
import { onAbort } from '../time/on-abort.js'
import type { WorkerDependencies } from './worker-dependencies.js'

/** Callbacks of the triggers. */
export interface StopActions {
  /** Stops the worker; may be called again. */
  stop(): void
  /** Called at a second signal: does what must be done before the process exits. */
  exitNow(): Promise<void>
  /** Called when the process dies of an uncaught exception. */
  crash(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): Promise<void>
}

/** Listens until `dispose` is called. */
export function onStopTriggers(dependencies: WorkerDependencies, owner: StopActions): { dispose(): void } {
  const { closing, clock, settings } = dependencies
  const { signal, untilMs } = settings
  const stop = () => owner.stop()
  const signals = onStopSignals({
    signals: endingSignals,
    stop,
    leave: () => owner.exitNow(),
    crash: (error, origin) => owner.crash(error, origin),
  })
  const aborts = [signal, closing].map(abort => onAbort(abort, stop))
  const cancelAlarm = untilMs === undefined ? undefined : clock.setDateAlarm(untilMs, stop)
  return {
    dispose: () => {
      cancelAlarm?.()
      signals.dispose()
      for (const stopListening of aborts) stopListening()
    },
  }
}
