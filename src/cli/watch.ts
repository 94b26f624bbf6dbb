/** Runs `ptq status --watch`: prints the numbers repeatedly, with the rate, the ETA and the running workers. */

import type { TaskQueue } from '../index.js'
import { readOverview, readWorkers } from '../overview/overview.js'
import { RateMeter } from '../overview/rate-meter.js'
import { sleep } from '../time/sleep.js'
import { fittedLine, onReaderGone, printLine } from './printing.js'
import { speedLine, statusLines, workerLines } from './status-lines.js'

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
