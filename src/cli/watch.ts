/** Runs `ptq status --watch`: prints the numbers repeatedly, with the rate, the ETA and the running workers. */

import { isErrorNamed } from '../errors/thrown.js'
import type { TaskQueue, WorkerStatus } from '../index.js'
import { sleep } from '../time/sleep.js'
import { fittedLine, onReaderGone, printLine } from './printing.js'
import { type Overview, type Speed, speedLine, statusLines, workerLines } from './status-lines.js'

// The rate over the last minute: current, but smooth.
const windowMs = 60_000

/** Prints until `signal` aborts, or the reader of stdout ends. */
export async function watch(
  queue: TaskQueue,
  options: { intervalSeconds: number; signal: AbortSignal; printJson: ((value: unknown) => Promise<void>) | undefined },
): Promise<void> {
  const { intervalSeconds, signal, printJson } = options
  const rateMeter = new RateMeter()
  const show = process.stdout.isTTY ? new Screen() : undefined
  const ended = new AbortController()
  onReaderGone(() => ended.abort())
  const end = AbortSignal.any([signal, ended.signal])
  while (!end.aborted) {
    const overview = await readOverview(queue)
    const workers = await readWorkers(queue)
    const speed = rateMeter.add(overview, performance.now())
    if (printJson !== undefined) {
      await printJson({ ...overview, tasksPerSecond: speed?.tasksPerSecond ?? Number.NaN, workers: workers ?? null })
    } else {
      const lines = [
        queue.url,
        ...statusLines(overview),
        speedLine(overview, speed),
        ...workerLines(workers, Date.now()),
      ]
      if (show === undefined) for (const line of [...lines, '']) await printLine(line)
      else show.draw(lines)
    }
    await sleep(intervalSeconds * 1000, end)
  }
}

/** The numbers of the queue and of its dead letters. */
export async function readOverview(queue: TaskQueue): Promise<Overview> {
  return { ...(await queue.status()), failed: await queue.failed() }
}

/** `undefined` where the queue can't hold what its workers do. */
export async function readWorkers(queue: TaskQueue): Promise<readonly WorkerStatus[] | undefined> {
  try {
    return await queue.workers()
  } catch (error) {
    if (isErrorNamed(error, 'UnsupportedOperationError')) return undefined
    throw error
  }
}

/** Measures how many tasks leave the queue: completed or dead-lettered, whether or not completions are tallied. */
class RateMeter {
  readonly #samples: { readonly atMs: number; readonly left: number }[] = []

  /** `undefined` after the first sample. */
  add({ inserted, enqueued }: Overview, atMs: number): Speed | undefined {
    const samples = this.#samples
    // Without a count of inserted tasks, only the number of enqueued ones can be compared.
    samples.push({ atMs, left: (Number.isNaN(inserted) ? 0 : inserted) - enqueued })
    while (samples.length > 2 && atMs - (samples[0]?.atMs ?? atMs) > windowMs) samples.shift()
    const [first] = samples
    const last = samples.at(-1)
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined
    // Negative after a purge, a rezero or a retry.
    const tasks = Math.max(0, last.left - first.left)
    return { tasksPerSecond: (tasks * 1000) / (last.atMs - first.atMs) }
  }
}

/** Draws over what it drew before; cuts what doesn't fit, since a line that wraps would be two. */
class Screen {
  #drawn = 0

  draw(lines: readonly string[]): void {
    const { columns = 80, rows = 24 } = process.stdout
    const room = rows - 1
    const more = lines.length - room + 1
    const visible = more > 1 ? [...lines.slice(0, room - 1), `… and ${more} more lines`] : lines
    const fitting = visible.map(line => fittedLine(line, (columns || 80) - 1))
    const back = this.#drawn === 0 ? '' : `\u001b[${this.#drawn}A\r`
    process.stdout.write(`${back}\u001b[J${fitting.join('\n')}\n`)
    this.#drawn = fitting.length
  }
}
