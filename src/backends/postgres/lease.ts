/** Leases messages. */
import { randomUUID } from 'node:crypto'
import type { Lease } from '../../backend/messages.js'
import { failuresFrom } from '../../backend/recorded-failures.js'
import type { Row } from './connection.js'
import { type PostgresQueue, queueId } from './queue.js'

const leaseStatement = `
  SELECT id, body, attempts, deaths, deaths_alone, array_to_json(failures), extract(epoch FROM was_free_at)
  FROM ptq.lease($1, $2, $3, $4, $5)`

/** The messages leased by a statement whose response was lost. */
const heldStatement = `
  SELECT id, body, attempts, deaths, deaths_alone, array_to_json(failures), 0 FROM ptq.messages
  WHERE queue = ${queueId} AND free_at > statement_timestamp() AND holder = $2`

const dueStatement = 'SELECT ptq.due($1)'

/** A search from the beginning may take this part of the time. */
const searchShare = 0.1

/** Identifies a lease to its queue. */
export interface LeaseHandle {
  readonly holder: string
}

/** Leases the messages of one queue. */
export class Leasing {
  readonly #queue: PostgresQueue
  /**
   * The search for free messages begins at this time, in seconds since 1970, and not at the oldest. Leased and deleted
   * rows stay in the index until they are vacuumed, which a long transaction of any client may prevent for hours: each
   * lease would scan all of them.
   */
  #from = 0
  /**
   * Time of the next search from the beginning: messages may have appeared before `#from`, of a transaction that began
   * early.
   */
  #fullSearchMs = 0

  constructor(queue: PostgresQueue) {
    this.#queue = queue
  }

  /** Leases up to `max` free messages; none only if there is none. */
  async take(seconds: number, max: number): Promise<Lease[]> {
    const leases = performance.now() < this.#fullSearchMs ? await this.#takeFrom(this.#from, seconds, max) : []
    return leases.length > 0 ? leases : this.#takeFromBeginning(seconds, max)
  }

  async #takeFromBeginning(seconds: number, max: number): Promise<Lease[]> {
    const beganMs = performance.now()
    this.#from = 0
    const leases = await this.#takeFrom(0, seconds, max)
    const endedMs = performance.now()
    this.#fullSearchMs = endedMs + (endedMs - beganMs) / searchShare
    return leases
  }

  async #takeFrom(from: number, seconds: number, max: number): Promise<Lease[]> {
    const { connection, name } = this.#queue
    const holder = randomUUID()
    const values = [name, from, max, holder, seconds]
    const rows = await this.#queue.whereTablesExist(() =>
      connection.run('lease from', async (query, mayBeDone) => {
        const held = mayBeDone ? await query(heldStatement, [name, holder]) : []
        return held.length > 0 ? held : query(leaseStatement, values)
      }),
    )
    for (const row of rows ?? []) this.#from = Math.max(this.#from, Number(row[6]))
    return (rows ?? []).map(row => leaseOf(row, holder))
  }

  /** Seconds until the next message becomes free; `undefined` if there is none. */
  async due(): Promise<number | undefined> {
    const rows = await this.#queue.read('lease from', dueStatement)
    const seconds = rows?.[0]?.[0]
    return seconds == null ? undefined : Math.max(0, Number(seconds))
  }
}

function leaseOf([id, body, attempts, deaths, deathsAlone, failures]: Row, holder: string): Lease {
  const handle: LeaseHandle = { holder }
  return {
    id: id ?? '',
    body: body ?? '',
    attempt: Number(attempts),
    deaths: Number(deaths),
    deathsAlone: Number(deathsAlone),
    failures: failures == null ? [] : storedFailures(failures),
    handle,
  }
}

/** @param json an array of JSON texts */
export function storedFailures(json: string): ReturnType<typeof failuresFrom> {
  const texts: readonly string[] = JSON.parse(json)
  return failuresFrom(texts.map(text => JSON.parse(text)))
}
