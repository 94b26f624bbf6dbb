/** Ctrl-C in a command that changes a queue: it ends what is under way and says how far it came. A second one ends at once. */
import { constants } from 'node:os'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Runs `work` with a signal that the first Ctrl-C aborts; the exit code tells which signal came. */
export async function interruptible<R>(work: (signal: AbortSignal) => Promise<R>): Promise<R> {
  const abort = new AbortController()
  const onSignal = (name: NodeJS.Signals) => {
    const exitCode = 128 + constants.signals[name]
    if (abort.signal.aborted) process.exit(exitCode)
    process.exitCode = exitCode
    abort.abort()
  }
  for (const name of SIGNALS) process.on(name, onSignal)
  try {
    return await work(abort.signal)
  } finally {
    for (const name of SIGNALS) process.off(name, onSignal)
  }
}
