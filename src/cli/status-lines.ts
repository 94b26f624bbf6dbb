/** The numbers of a queue as people read them. */
import type { QueueStatus, WorkerStatus } from '../index.js'
import { duration } from '../terminal/duration.js'
import { printable } from './printing.js'

/** All that `status` tells. */
export interface Overview extends QueueStatus {
  /** Dead letters; NaN where there is no place for them. */
  readonly failed: number
}

/** How fast a queue drains. */
export interface Speed {
  /** Tasks that left the queue a second, over the last while. */
  readonly tasksPerSecond: number
}

/** One line for each number that is known. */
export function statusLines(overview: Overview): string[] {
  const { inserted, enqueued, completed, leased, delayed, failed, quarantined, foreign = 0, approximate } = overview
  const lines = [
    countLine('Inserted', inserted),
    countLine('Enqueued', enqueued, inserted, 'of inserted'),
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
  const gone = inserted - enqueued - (Number.isNaN(failed) ? 0 : failed)
  if (completed === 0 && gone > 0)
    return `Completed: not tallied; ${gone} (${percent(gone, inserted)} of inserted) have left the queue`
  return countLine('Completed', completed, inserted, 'of inserted')
}

/** `undefined` where the number is not known. */
function countLine(name: string, count: number, whole = Number.NaN, ofWhat = ''): string | undefined {
  if (Number.isNaN(count)) return undefined
  return `${name}: ${count}${whole > 0 ? ` (${percent(count, whole)} ${ofWhat})` : ''}`
}

/** When the queue will be empty at this speed. */
export function speedLine({ enqueued }: Overview, speed: Speed | undefined): string {
  if (speed === undefined) return 'Rate: unknown yet'
  const { tasksPerSecond: rate } = speed
  const end = enqueued === 0 ? 'empty' : rate > 0 ? `ETA ${duration(enqueued / rate)}` : 'ETA unknown'
  return `Rate: ${rateText(rate)}, ${end}`
}

/** A line for each worker, and one for each of its tasks. */
export function workerLines(workers: readonly WorkerStatus[] | undefined, nowMs: number): string[] {
  if (workers === undefined) return ['Workers: unknown']
  const since = (ms: number) => duration(Math.max(0, nowMs - ms) / 1000)
  return [
    `Workers: ${workers.length}`,
    ...workers.flatMap(worker => [
      `${printable(worker.host)} process ${worker.pid}, ${worker.threads} threads, up ${since(worker.startedAtMs)}: ` +
        `${worker.executed} executed, ${worker.failed} failed, ${rateText(worker.tasksPerSecond)}, ${Math.round(worker.rssMb)} MB`,
      ...worker.running.map(({ id, name, startedAtMs, fraction, note }) => {
        const part = fraction === undefined ? '' : ` ${(fraction * 100).toFixed(0)}%`
        return `  ${printable(name)} ${printable(id)} for ${since(startedAtMs)}${part}${note === undefined ? '' : ` ${printable(note)}`}`
      }),
    ]),
  ]
}

function percent(part: number, whole: number): string {
  return `${((part / whole) * 100).toFixed(1)}%`
}

function rateText(perSecond: number): string {
  return `${perSecond >= 10 ? Math.round(perSecond) : perSecond.toFixed(1)}/s`
}
