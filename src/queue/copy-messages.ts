/** Copies all messages of a queue into another one, without leasing them. */
import { randomUUID } from 'node:crypto'
import type { Backend } from '../backend/backend.js'
import { IdSet } from '../backend/id-set.js'
import type { Message } from '../backend/messages.js'
import { requireListing } from './listing.js'
import { fitted, idOf, TransferInserter, type TransferPlan } from './transfer.js'

/**
 * Copies all messages, leased and delayed ones too: all are ready in the copy. Those that are in the other queue already
 * are passed over, so a copy that was interrupted is finished by another one.
 *
 * @returns how many were copied
 */
export async function copyMessages(plan: TransferPlan): Promise<number> {
  const { from, to, signal } = plan
  requireListing(from)
  const known = await idsIn(to)
  // A new passage per copy: a second copy is no repeated request, since the messages of the first one may be gone.
  const passage = randomUUID()
  const inserter = new TransferInserter(plan, 'Copying', (await from.counts()).enqueued - known.size)
  const requests = new Set<Promise<void>>()
  const failures: unknown[] = []
  let batch: Message[] = []
  const send = async () => {
    const messages = batch
    batch = []
    const request = inserter
      .insert(messages)
      .then(({ error }) => {
        if (error !== undefined) failures.push(error)
      })
      .catch((error: unknown) => failures.push(error))
      .then(() => {
        requests.delete(request)
      })
    requests.add(request)
    while (requests.size >= plan.concurrency) await Promise.race(requests)
  }
  try {
    for await (const message of from.list({ wanted: id => !known.has(idOf(id)) })) {
      if (signal.aborted || failures.length > 0) break
      // A list may show a message twice, if its state changed.
      if (!known.add(idOf(message.id))) continue
      batch.push({ ...fitted(message, to), passage })
      if (batch.length >= to.capabilities.insertBatch) await send()
    }
    if (batch.length > 0 && failures.length === 0) await send()
  } finally {
    await Promise.all(requests)
    await inserter.end()
  }
  if (failures.length > 0) throw failures[0]
  return inserter.stored
}

async function idsIn(to: Backend): Promise<IdSet> {
  const ids = new IdSet()
  if (to.list === undefined || (await to.exists?.()) === false) return ids
  const wanted = (id: string) => {
    ids.add(idOf(id))
    return false
  }
  for await (const { id } of to.list({ wanted })) ids.add(idOf(id))
  return ids
}
