/** Signals that ask a process to end: the first one stops what runs cleanly, a second one leaves at once. */
import { constants } from 'node:os'

/** What somebody who runs tasks does when the process is asked to end. */
export interface Stoppable {
  /** Which signals ask for it. */
  readonly signals: readonly NodeJS.Signals[]
  /** At the first one: begin nothing more, let what runs finish. */
  stop(signal: NodeJS.Signals): void
  /** At the second one: what has to be done before the process exits, briefly. */
  leave?(): Promise<void>
}

/** How long everybody's `leave` may take. Milliseconds. */
const leaveMs = 5_000

const stoppables = new Set<Stoppable>()
const listening = new Map<NodeJS.Signals, (signal: NodeJS.Signals) => void>()
let asked = false

/** Listens for the signals as long as somebody runs; the exit code tells which one came (128 + its number). */
export function onStopSignals(stoppable: Stoppable): { dispose(): void } {
  if (stoppables.size === 0) asked = false
  stoppables.add(stoppable)
  for (const signal of stoppable.signals) {
    if (listening.has(signal)) continue
    process.on(signal, onSignal)
    listening.set(signal, onSignal)
  }
  return { dispose: () => dispose(stoppable) }
}

function dispose(stoppable: Stoppable): void {
  stoppables.delete(stoppable)
  const wanted = new Set([...stoppables].flatMap(({ signals }) => signals))
  for (const [signal, listener] of listening) {
    if (wanted.has(signal)) continue
    process.removeListener(signal, listener)
    listening.delete(signal)
  }
}

function onSignal(signal: NodeJS.Signals): void {
  const exitCode = 128 + constants.signals[signal]
  if (asked) {
    void leaveAll(exitCode)
    return
  }
  asked = true
  process.exitCode ??= exitCode
  for (const { stop } of [...stoppables]) stop(signal)
}

async function leaveAll(exitCode: number): Promise<void> {
  const leaving = Promise.allSettled([...stoppables].map(stoppable => stoppable.leave?.()))
  const enough = new Promise<void>(resolve => setTimeout(resolve, leaveMs).unref())
  await Promise.race([leaving, enough])
  process.exit(exitCode)
}
