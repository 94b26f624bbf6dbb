import { openQueue } from './open-queue.js'
import type { Digest, Digested, DigestTask } from './tasks.js'

/** Has the tasks run through a queue, as on many machines: inserted by one process, taken and run by workers. Here both are one. */
export async function hashThroughQueue(tasks: readonly DigestTask[], name: string): Promise<Digested> {
  const { tq, deadLetter, close } = await openQueue(name)
  const digests = new Map<string, Digest>()
  const reasons = new Map<string, string>()
  // A result stays with its worker: real tasks would store it themselves.
  tq.events.on('succeeded', ({ task, value }) => digests.set(pathOf(task.payload()), value as Digest))
  tq.events.on('dead-lettered', ({ task, reason }) => reasons.set(pathOf(task.payload()), reason))
  try {
    const startMs = performance.now()
    await tq.insert(tasks)
    const insertedMs = performance.now()
    await tq.poll({ parallel: true, untilEmpty: true, maxAttempts: 1, ...(deadLetter && { deadLetter }) })
    const perSecond = (ms: number) => Math.round((tasks.length / ms) * 1000)
    const { queue } = await tq.status()
    const inserts = perSecond(insertedMs - startMs)
    const runs = perSecond(performance.now() - insertedMs)
    return { digests, reasons, speed: `${queue}: ${inserts} tasks/s inserted, ${runs} files/s hashed on all cores` }
  } finally {
    await close()
  }
}

function pathOf(payload: unknown): string {
  return Array.isArray(payload) ? String(payload[1][0]) : ''
}
