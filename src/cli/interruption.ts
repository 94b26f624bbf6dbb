/** Handles Ctrl-C in a command that changes a queue: it ends after its current requests and reports its progress. A second one exits at once. */
import { endingSignals, onStopSignals } from '../runtime/stop-signals.js'

/**
 * Runs `work` with a signal that the first Ctrl-C aborts; the exit code names the signal.
 *
 * @param options.quiet print nothing on a terminal: the command ends at once
 */
export async function interruptible<R>(
  work: (signal: AbortSignal) => Promise<R>,
  options: { quiet?: boolean } = {},
): Promise<R> {
  const { quiet = false } = options
  const abort = new AbortController()
  const stop = (name: NodeJS.Signals) => {
    if (!quiet && process.stderr.isTTY) console.error(`ptq: ${name}: ending what is under way, again to leave at once`)
    abort.abort()
  }
  const signals = onStopSignals({ signals: endingSignals, stop })
  try {
    return await work(abort.signal)
  } finally {
    signals.dispose()
  }
}
