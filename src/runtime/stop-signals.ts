/**
 * Clean shutdown. Signals: the first one stops the run cleanly, a second one exits at once. Uncaught exceptions: held tasks
 * are released, then the process ends as it would have.
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

/** Signals that are handled even if the program listens too. The others may mean something else to such a program. */
const ours = new Set<NodeJS.Signals>(['SIGINT', 'SIGTERM'])

/** Exits at once, like a second signal: the user who presses Ctrl-\ no longer wants to wait. */
const hasty = new Set<NodeJS.Signals>(['SIGQUIT'])

/** Callbacks of a run or a worker for the end of the process. */
export interface Stoppable {
  /** The signals to handle. */
  readonly signals: readonly NodeJS.Signals[]
  /** Called at the first signal: begin no further task, let the running ones finish. */
  stop(signal: NodeJS.Signals): void
  /** Called at the second signal: the work that has to be done before the process exits; has to be short. */
  leave?(): Promise<void>
  /** Called when an uncaught exception ends the process; has to be short. */
  crash?(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): Promise<void>
}

/**
 * `npx`, `npm run` and `tsx` pass a key press on to a process that the terminal has sent it to already, some 30 ms
 * later: a signal that repeats within this time counts once. Milliseconds.
 */
export const repeatMs = 200

/** Time for all `leave` or `crash` callbacks. Milliseconds. */
const leaveMs = 5_000

const stoppables = new Set<Stoppable>()
const listening = new Map<NodeJS.Signals, (signal: NodeJS.Signals) => void>()
let asked = false
/** The time of the first Ctrl-C, by `performance.now()`. */
let interruptedAtMs = Number.NEGATIVE_INFINITY
/** The first signal, where the parent process passed it on before it came here directly: then that one is still to come. */
let passedOn: NodeJS.Signals | undefined
let crashing = false

/** Listens for the signals as long as there is a run; the exit code names the signal (128 + its number). */
export function onStopSignals(stoppable: Stoppable): { dispose(): void } {
  if (stoppables.size === 0) {
    asked = false
    interruptedAtMs = Number.NEGATIVE_INFINITY
    passedOn = undefined
  }
  stoppables.add(stoppable)
  for (const signal of stoppable.signals) {
    // Not every system has every signal.
    if (listening.has(signal) || !(signal in constants.signals)) continue
    if (!ours.has(signal) && process.listenerCount(signal) > 0) continue
    process.on(signal, onSignal)
    listening.set(signal, onSignal)
  }
  // A program that listens decides by itself whether its process continues.
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
  // A listener that was added after ours.
  if (!ours.has(signal) && process.listenerCount(signal) > 1) return
  const exitCode = 128 + constants.signals[signal]
  // Only for Ctrl-C: other signals come from programs.
  if (asked && signal === 'SIGINT' && performance.now() - interruptedAtMs < repeatMs) return
  if (asked && signal === passedOn) {
    passedOn = undefined
    return
  }
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
 * Acts on a signal that the parent process passes on. A terminal, or who ends all processes of a group, may have sent it here as
 * well, so of the two the one that comes later changes nothing, whichever it is. Before anything listens, it ends the process as the signal itself would.
 */
export function passOnSignal(signal: NodeJS.Signals, { isSecond }: { readonly isSecond: boolean }): void {
  if (asked && !isSecond) return
  if (stoppables.size === 0) process.kill(process.pid, signal)
  else if (isSecond) leave(128 + constants.signals[signal])
  else {
    onSignal(signal)
    passedOn = signal
  }
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
