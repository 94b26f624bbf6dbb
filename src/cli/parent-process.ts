/** Messages between a worker process and its parent, `ptq poll --processes`. */
import { passOnSignal } from '../runtime/stop-signals.js'

/** From the parent: a signal that it received. */
export interface PassedSignal {
  readonly signal: NodeJS.Signals
  /** The second signal: exit at once. */
  readonly isSecond: boolean
}

/** To the parent, at the end: a process that ends without this has crashed. */
export interface WorkerEnd {
  readonly ptqExitCode: number
  /** Lines for stderr if the command was refused: all processes would print the same. */
  readonly refusal: readonly string[] | undefined
}

let following = false

/** Makes this process a worker of its parent: it stops when the parent asks it to, or has ended. */
export function followParent(): void {
  following = true
  process.on('message', ({ signal, isSecond }: PassedSignal) => passOnSignal(signal, { isSecond }))
  process.on('disconnect', () => passOnSignal('SIGTERM', { isSecond: false }))
  // The parent had ended before this listener was added.
  if (!process.connected) process.kill(process.pid, 'SIGTERM')
}

/** The environment variable with the number of a worker process, from 0. */
export const processNumberVariable = 'PTQ_PROCESS_NUMBER'

/** The number of this worker process among those of its parent, kept by one that replaces it; 0 where there is no parent. */
export function processNumber(): number {
  return following ? Number(process.env[processNumberVariable] ?? 0) : 0
}

export function isWorkerProcess(): boolean {
  return following
}

/** Reports to the parent, if there is one, that this process ends normally. */
export async function tellParent(end: WorkerEnd): Promise<void> {
  if (!following || !process.connected) return
  // An error means that the parent has ended.
  await new Promise<void>(resolve => process.send?.(end, undefined, undefined, () => resolve()))
}
