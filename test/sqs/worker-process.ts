/** Worker processes as the tests start them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { WorkerOrder } from './poll-worker.js'

const PROGRAM = fileURLToPath(import.meta.resolve('./poll-worker.js'))

export interface WorkerProcess {
  readonly child: ChildProcess
  /** What it has printed so far. */
  readonly lines: readonly string[]
  /** Resolves with the next line. */
  nextLine(): Promise<string>
  /** Resolves when it has ended. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

export function startWorker(order: WorkerOrder): WorkerProcess {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout }).on('line', line => lines.push(line))
  return {
    child,
    lines,
    nextLine: async () => String((await once(reader, 'line'))[0]),
    ended: once(child, 'close').then(([code, signal]) => ({ code, signal })),
  }
}
