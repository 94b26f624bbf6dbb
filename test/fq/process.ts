// A process that executes the commands of a test on a queue: started with `fork`, one answer for each message.
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { appendFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lease } from '#ptq/backend/messages.js'
import { open } from '#ptq/backends/fq/index.js'
import { failure, insert, leaseNow } from './messages.js'
import type { Answer, Order } from './orders.js'

const [root = ''] = process.argv.slice(2)
const queue = await open({ protocol: 'fq', path: root })

/** A task file is either not there or whole. */
function requireWhole({ id, body }: Lease): void {
  const envelope: unknown = JSON.parse(body)
  if (typeof envelope !== 'object' || envelope === null || !('id' in envelope) || envelope.id !== id) {
    throw new Error(`Expected the envelope of ${id}, got ${body}`)
  }
}

/** Inserts and drains at the same time; writes the ids of finished tasks into a file. */
async function work({ count, batch, log }: Extract<Order, { verb: 'work' }>): Promise<number> {
  const finished: string[] = []
  let inserted = 0
  for (;;) {
    if (inserted < count) {
      await insert(queue, batch)
      await queue.addInserted?.(batch)
      inserted += batch
    }
    // Others may still insert when the queue looks empty, so the last lease call waits.
    const leases = await queue.lease({ seconds: 600, max: batch, waitSeconds: inserted < count ? 0 : 1 })
    if (leases.length === 0 && inserted >= count) break
    leases.forEach(requireWhole)
    const lost = await queue.delete(leases, { tally: true })
    if (lost[0] !== undefined) throw lost[0].error
    for (const { id } of leases) finished.push(id)
  }
  writeFileSync(log, finished.join('\n'))
  return finished.length
}

/** Leases, renews, releases, fails and deletes at random; a file for each lease detects a second holder. */
async function actAtRandom({ folder, log }: Extract<Order, { verb: 'act at random' }>): Promise<number> {
  let finished = 0
  for (;;) {
    const leases = await queue.lease({ seconds: 600, max: 5, waitSeconds: 1 })
    if (leases.length === 0) return finished
    for (const lease of leases) {
      const held = join(folder, lease.id)
      await writeFile(held, String(process.pid), { flag: 'wx' })
      const chance = Math.random()
      const lost = chance < 0.3 ? [...(await queue.renew([lease], 700))] : []
      await rm(held)
      if (chance < 0.5) lost.push(...(await queue.delete([lease], { tally: true })))
      else if (chance < 0.75) lost.push(...(await queue.release([lease], { delaySeconds: 0 })))
      else lost.push(...(await queue.release([lease], { delaySeconds: 0, failure: failure(lease.attempt) })))
      if (lost[0] !== undefined) throw lost[0].error
      if (chance < 0.5) {
        await appendFile(log, `${lease.id}\n`)
        finished++
      }
    }
  }
}

async function obey(order: Order): Promise<number> {
  switch (order.verb) {
    case 'work':
      return work(order)
    case 'act at random':
      return actAtRandom(order)
    case 'insert':
      await insert(queue, order.count, order.delaySeconds)
      return order.count
    case 'lease':
      return (await leaseNow(queue, order.max, order.seconds)).length
    case 'count':
      return (await queue.counts())[order.which] ?? Number.NaN
    case 'addInserted':
      for (let time = 0; time < order.times; time++) await queue.addInserted?.(order.count)
      return order.times
    case 'close':
      await queue.close()
      process.disconnect()
      return 0
  }
}

process.on('message', (order: Order) => {
  const answer = (reply: Answer) => process.connected && process.send?.(reply)
  obey(order).then(
    value => answer({ value }),
    (error: unknown) => answer({ error: error instanceof Error ? (error.stack ?? error.message) : randomUUID() }),
  )
})
process.send?.({ value: 0 } satisfies Answer)
