/** Ctrl-C in a command that changes a queue: it ends what is under way and says how far it came. A second one ends at once. */
import { endingSignals, onStopSignals } from '../stop-signals.js'

/** Runs `work` with a signal that the first Ctrl-C aborts; the exit code tells which signal came. */
export async function interruptible<R>(work: (signal: AbortSignal) => Promise<R>): Promise<R> {
  const abort = new AbortController()
  const signals = onStopSignals({ signals: endingSignals, stop: () => abort.abort() })
  try {
    return await work(abort.signal)
  } finally {
    signals.dispose()
  }
}
