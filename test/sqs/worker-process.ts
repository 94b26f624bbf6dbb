/** Worker processes as the tests start them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { WorkerOrder } from './poll-worker.js'

const PROGRAM = fileURLToPath(import.meta.resolve('./poll-worker.js'))

export interface WorkerProcess {
  readonly child: ChildProcess
  /** The lines printed so far. */
  readonly lines: readonly string[]
  /** The text written to stderr so far. */
  errorText(): string
  /** Resolves with the next line. */
  nextLine(): Promise<string>
  /** Resolves when it has ended. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** @param options.printsErrors show what it writes to stderr. Default true */
export function startWorker(order: WorkerOrder, { printsErrors = true } = {}): WorkerProcess {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let errorText = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errorText += text
    if (printsErrors) process.stderr.write(text)
  })
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout }).on('line', line => lines.push(line))
  return {
    child,
    lines,
    errorText: () => errorText,
    nextLine: async () => String((await once(reader, 'line'))[0]),
    ended: once(child, 'close').then(([code, signal]) => ({ code, signal })),
  }
}
