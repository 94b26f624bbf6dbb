/**
 * Ends of the process that can be prepared for. Signals: the first one stops what runs cleanly, a second one leaves at once.
 * Uncaught exceptions: what is held is given back, then the process dies of them as it would have.
 */
import { constants } from 'node:os'

/**
 * All that end a process that doesn't listen, and that are no sign of a fault in it: Ctrl-C, `kill`, a terminal that is gone,
 * Ctrl-\, and what batch systems send before SIGKILL. SIGUSR1 and SIGPROF belong to Node's debugger and V8's profiler.
 */
export const endingSignals: readonly NodeJS.Signals[] = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR2',
  'SIGXCPU',
  'SIGALRM',
  'SIGVTALRM',
  'SIGBREAK',
]

/** To these we listen beside others. The rest may mean something else to a program that listens: it is left to that. */
const ours = new Set<NodeJS.Signals>(['SIGINT', 'SIGTERM'])

/** Leaves at once, as a second signal does: who presses Ctrl-\ has given up waiting. */
const hasty = new Set<NodeJS.Signals>(['SIGQUIT'])

/** What somebody who runs tasks does when the process is asked to end. */
export interface Stoppable {
  /** Which signals ask for it. */
  readonly signals: readonly NodeJS.Signals[]
  /** At the first one: begin nothing more, let what runs finish. */
  stop(signal: NodeJS.Signals): void
  /** At the second one: what has to be done before the process exits, briefly. */
  leave?(): Promise<void>
  /** The process dies of an uncaught exception: what has to be done before, briefly. */
  crash?(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): Promise<void>
}

/**
 * `npx`, `npm run` and `tsx` pass a key press on to a process that the terminal has sent it to already, some 30 ms later: a
 * signal that comes again so soon is the same one. Milliseconds.
 */
export const repeatMs = 200

/** How long everybody's `leave` or `crash` may take. Milliseconds. */
const leaveMs = 5_000

const stoppables = new Set<Stoppable>()
const listening = new Map<NodeJS.Signals, (signal: NodeJS.Signals) => void>()
let asked = false
/** When Ctrl-C was pressed first, by `performance.now()`. */
let interruptedAtMs = Number.NEGATIVE_INFINITY
let crashing = false

/** Listens for the signals as long as somebody runs; the exit code tells which one came (128 + its number). */
export function onStopSignals(stoppable: Stoppable): { dispose(): void } {
  if (stoppables.size === 0) {
    asked = false
    interruptedAtMs = Number.NEGATIVE_INFINITY
  }
  stoppables.add(stoppable)
  for (const signal of stoppable.signals) {
    // Not every system has every signal.
    if (listening.has(signal) || !(signal in constants.signals)) continue
    if (!ours.has(signal) && process.listenerCount(signal) > 0) continue
    process.on(signal, onSignal)
    listening.set(signal, onSignal)
  }
  // A program that listens decides by itself whether its process goes on.
  if (stoppable.crash !== undefined && process.listenerCount('uncaughtException') === 0) {
    process.on('uncaughtException', onUncaught)
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
  if (!crashing && ![...stoppables].some(({ crash }) => crash !== undefined)) {
    process.removeListener('uncaughtException', onUncaught)
  }
}

function onSignal(signal: NodeJS.Signals): void {
  // A listener that came after us.
  if (!ours.has(signal) && process.listenerCount(signal) > 1) return
  const exitCode = 128 + constants.signals[signal]
  // Of Ctrl-C alone: other signals come from programs.
  if (asked && signal === 'SIGINT' && performance.now() - interruptedAtMs < repeatMs) return
  if (asked || hasty.has(signal)) {
    leave(exitCode)
    return
  }
  asked = true
  if (signal === 'SIGINT') interruptedAtMs = performance.now()
  process.exitCode ??= exitCode
  for (const { stop } of [...stoppables]) stop(signal)
}

function leave(exitCode: number): void {
  asked = true
  void allWithin(stoppable => stoppable.leave?.()).then(() => process.exit(exitCode))
}

/**
 * Acts on a signal that the parent process passes on. A terminal may have sent it here as well, so the first one changes
 * nothing where one has come already. Before anything listens, it ends the process as the signal itself would.
 */
export function passOnSignal(signal: NodeJS.Signals, { isSecond }: { readonly isSecond: boolean }): void {
  if (asked && !isSecond) return
  if (stoppables.size === 0) process.kill(process.pid, signal)
  else if (isSecond) leave(128 + constants.signals[signal])
  else onSignal(signal)
}

function onUncaught(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): void {
  // One that comes while the first is handled changes nothing.
  if (crashing || process.listenerCount('uncaughtException') > 1) return
  crashing = true
  void allWithin(stoppable => stoppable.crash?.(error, origin)).then(() => {
    process.removeListener('uncaughtException', onUncaught)
    // Outside of the promise, whose rejection it would be: Node prints it, and exits.
    setImmediate(() => {
      throw error
    })
  })
}

/** Calls `end` for all; resolves when that is done, or after five seconds. */
async function allWithin(end: (stoppable: Stoppable) => Promise<void> | undefined): Promise<void> {
  const leaving = Promise.allSettled([...stoppables].map(async stoppable => end(stoppable)))
  const enough = new Promise<void>(resolve => setTimeout(resolve, leaveMs).unref())
  await Promise.race([leaving, enough])
}
