/** Formats the numbers of a queue for people. */

import type { WorkerStatus } from '../index.js'
import { goneFrom, type Overview } from '../overview/overview.js'
import type { Speed } from '../overview/rate-meter.js'
import { bySilence, hasEnded } from '../overview/silent-workers.js'
import { duration } from '../terminal/duration.js'
import { counted } from '../text/counted.js'
import { countOf, printable } from './printing.js'

/** One line for each number that is known. */
export function statusLines(overview: Overview): string[] {
  const { inserted, enqueued, messages = enqueued, completed, leased, delayed, failed, quarantined } = overview
  const { foreign = 0, approximate } = overview
  const lines = [
    countLine('Inserted', inserted),
    countLine('Enqueued', enqueued, inserted, 'of inserted', messages),
    completedLine(overview),
    countLine('Leased', leased, enqueued, 'of enqueued'),
    countLine('Delayed', delayed, enqueued, 'of enqueued'),
    countLine('Failed', failed, inserted, 'of inserted'),
    countLine('Quarantined', quarantined),
    foreign > 0 ? `Foreign files: ${foreign}` : undefined,
    approximate ? 'These counts are approximate' : undefined,
    Number.isNaN(inserted) && Number.isNaN(completed)
      ? 'This queue does not count inserted and completed tasks'
      : undefined,
  ]
  return lines.filter(line => line !== undefined)
}

/** Tasks that left the queue without being tallied are finished too, or their dead letters were removed. */
function completedLine({ inserted, enqueued, completed, failed }: Overview): string | undefined {
  const gone = goneFrom({ inserted, enqueued, failed })
  if (completed === 0 && gone > 0)
    return `Completed: not tallied; ${gone} (${percent(gone, inserted)} of inserted) have left the queue`
  return countLine('Completed', completed, inserted, 'of inserted')
}

/** `undefined` where the number is not known. */
function countLine(name: string, count: number, whole = Number.NaN, ofWhat = '', messages = count): string | undefined {
  if (Number.isNaN(count)) return undefined
  const notes = [
    whole > 0 ? `${percent(count, whole)} ${ofWhat}` : undefined,
    messages === count ? undefined : `in ${counted(messages, 'message')}`,
  ].filter(note => note !== undefined)
  return `${name}: ${count}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`
}

/** The line with the rate and the time until the queue is empty. */
export function speedLine({ enqueued }: Overview, speed: Speed | undefined): string {
  if (speed === undefined) return 'Rate: unknown yet'
  const { tasksPerSecond: rate } = speed
  const end = enqueued === 0 ? 'empty' : rate > 0 ? `ETA ${duration(enqueued / rate)}` : 'ETA unknown'
  return `Rate: ${rateText(rate)}, ${end}`
}

/** A line for each worker, and one for each of its tasks; those that have been silent come last, and are not counted. */
export function workerLines(workers: readonly WorkerStatus[] | undefined, nowMs: number): string[] {
  if (workers === undefined) return ['Workers: unknown']
  const { alive, silent } = bySilence(workers, nowMs)
  const since = (ms: number) => duration(Math.max(0, nowMs - ms) / 1000)
  return [
    `Workers: ${alive.length}${silent.length > 0 ? ` (and ${silent.length} silent)` : ''}`,
    ...alive.flatMap(worker => [
      `${printable(worker.host)} process ${worker.pid}, ${counted(worker.threads, 'thread')}, up ${since(worker.startedAtMs)}: ` +
        `${worker.executed} executed, ${counted(worker.failed, 'failed attempt')}, ${rateText(worker.tasksPerSecond)}, ${Math.round(worker.rssMb)} MB`,
      ...worker.running.map(({ id, name, startedAtMs, fraction, note }) => {
        const part = fraction === undefined ? '' : ` ${(fraction * 100).toFixed(0)}%`
        return `  ${printable(name)} ${printable(id)} for ${since(startedAtMs)}${part}${note === undefined ? '' : ` ${printable(note)}`}`
      }),
    ]),
    ...silent.map(
      worker =>
        `${printable(worker.host)} process ${worker.pid}: silent for ${since(worker.writtenAtMs)}` +
        `${hasEnded(worker) ? ', its process has ended' : ''}; it ran ${countOf(worker.running.length)}`,
    ),
  ]
}

function percent(part: number, whole: number): string {
  return `${((part / whole) * 100).toFixed(1)}%`
}

function rateText(perSecond: number): string {
  return `${perSecond >= 10 ? Math.round(perSecond) : perSecond.toFixed(1)}/s`
}
