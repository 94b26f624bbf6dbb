/** Shared code of `cp` and `mv`: two queues, Ctrl-C, and the count at the end. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Argv } from 'yargs'
import type { QueueStatus, TaskQueue } from '../index.js'
import { interruptible } from './interruption.js'
import { countOf } from './printing.js'
import {
  type QueueArguments,
  queueOptions,
  queueUrl,
  requireFittingFlags,
  requireNotSqs,
  requireQueue,
  withOpenQueue,
} from './queue-arguments.js'
import { UsageError } from './usage-error.js'

// Readings of approximate counts, and the seconds between them, before a remainder is reported.
const readings = 5
const readingSeconds = 1

/** Declares source and destination. */
export function transferArguments<Args>(
  yargs: Argv<Args>,
): Argv<Args & QueueArguments & { source: string; destination: string; json: boolean | undefined }> {
  return queueOptions(
    yargs
      .positional('source', { type: 'string', demandOption: true, describe: 'The queue to take from' })
      .positional('destination', { type: 'string', demandOption: true, describe: 'The queue to put into' })
      .option('json', { type: 'boolean', describe: 'Print JSON' }),
  )
}

/** Opens both queues. A missing source is an error before the destination is created. */
export async function withQueues<R>(
  args: QueueArguments & { source: string; destination: string },
  work: (source: TaskQueue, destination: TaskQueue, signal: AbortSignal) => Promise<R>,
  { notOnSqs }: { notOnSqs?: string } = {},
): Promise<R> {
  requireNotSqs(args.source, notOnSqs)
  const [from, to] = [queueUrl(args.source), queueUrl(args.destination)]
  requireFittingFlags([from, to], args)
  return withOpenQueue(from, args, source =>
    withOpenQueue(to, args, async destination => {
      if (source.url === destination.url) throw new UsageError(`Expected two queues, got one: ${source.url}`)
      await requireQueue(source)
      return interruptible(signal => work(source, destination, signal))
    }),
  )
}

/** The status of a queue after a transfer: approximate counts are read again as long as they are above 0. */
export async function settledStatus(queue: TaskQueue): Promise<QueueStatus> {
  let status = await queue.status()
  for (let look = 1; look < readings && status.approximate && status.enqueued > 0; look++) {
    await sleep(readingSeconds * 1000)
    status = await queue.status()
  }
  return status
}

/** The status of a destination; `undefined` where it does not exist, since there was nothing to put into it. */
export async function destinationStatus(queue: TaskQueue): Promise<QueueStatus | undefined> {
  return (await queue.exists()) ? queue.status() : undefined
}

/** e.g. `12 tasks (2 leased, 3 delayed)` */
export function contents(status: QueueStatus | undefined): string {
  if (status === undefined) return 'none: it does not exist yet'
  const { enqueued, leased, delayed, approximate } = status
  const parts = [leased > 0 ? `${leased} leased` : '', delayed > 0 ? `${delayed} delayed` : ''].filter(
    part => part !== '',
  )
  const states = parts.length === 0 ? '' : ` (${parts.join(', ')})`
  return `${approximate ? 'about ' : ''}${countOf(enqueued)}${states}`
}
