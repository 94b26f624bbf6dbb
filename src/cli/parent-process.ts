/** What a worker process and its parent, `ptq poll --processes`, tell each other. */
import { passOnSignal } from '../runtime/stop-signals.js'

/** From the parent: a signal that it was sent. */
export interface PassedSignal {
  readonly signal: NodeJS.Signals
  /** The second one: leave at once. */
  readonly isSecond: boolean
}

/** To the parent, at the end: a process that ends without this has crashed. */
export interface WorkerEnd {
  readonly ptqExitCode: number
  /** Lines for stderr, where the command was refused: all processes would say the same. */
  readonly refusal: readonly string[] | undefined
}

let following = false

/** Makes this process a worker of its parent: it stops when the parent says so, or is gone. */
export function followParent(): void {
  following = true
  process.on('message', ({ signal, isSecond }: PassedSignal) => passOnSignal(signal, { isSecond }))
  process.on('disconnect', () => passOnSignal('SIGTERM', { isSecond: false }))
  // The parent was gone before we listened.
  if (!process.connected) process.kill(process.pid, 'SIGTERM')
}

export function isWorkerProcess(): boolean {
  return following
}

/** Tells the parent, if there is one, that this process ends in order. */
export async function tellParent(end: WorkerEnd): Promise<void> {
  if (!following || !process.connected) return
  // An error means that the parent is gone.
  await new Promise<void>(resolve => process.send?.(end, undefined, undefined, () => resolve()))
}
