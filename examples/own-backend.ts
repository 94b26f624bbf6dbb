import { setTimeout as sleep } from 'node:timers/promises'
import { type Backend, type BackendOpener, type BatchFailure, type Lease, LeaseLostError, type Message } from 'ptq'

interface Row {
  readonly message: Message
  freeAtMs: number
  attempts: number
  holder: symbol | undefined
}

/** Queues in a Map: what a table of a database would be. */
const queues = new Map<string, Map<string, Row>>()

class MapBackend implements Backend {
  readonly capabilities = {
    insertBatch: 100,
    leaseBatch: 100,
    exactCounts: true,
    counters: false,
    listing: false,
    releaseAll: false,
    history: false,
    dedupesInserts: false,
    maxDelaySeconds: 86_400,
    maxLeaseSeconds: 86_400,
    secondsStep: 0.001,
    threads: false,
  }
  readonly label: string
  constructor(
    readonly queueName: string,
    private readonly rows: Map<string, Row>,
  ) {
    this.label = `map://${queueName}`
  }

  async insert(messages: readonly Message[], { delaySeconds }: { delaySeconds: number }) {
    const freeAtMs = Date.now() + delaySeconds * 1000
    for (const message of messages) this.rows.set(message.id, { message, freeAtMs, attempts: 0, holder: undefined })
    return []
  }

  async lease(options: { seconds: number; max: number; waitSeconds: number; signal?: AbortSignal }) {
    const endMs = Date.now() + options.waitSeconds * 1000
    for (;;) {
      const leases: Lease[] = []
      for (const row of this.rows.values()) {
        if (leases.length === options.max) break
        if (row.freeAtMs > Date.now()) continue
        const holder = Symbol()
        Object.assign(row, { holder, freeAtMs: Date.now() + options.seconds * 1000, attempts: row.attempts + 1 })
        leases.push({ ...row.message, attempt: row.attempts, handle: holder })
      }
      if (leases.length > 0 || Date.now() >= endMs || options.signal?.aborted) return leases
      await sleep(50)
    }
  }

  async renew(leases: readonly Lease[], seconds: number) {
    return this.#change(leases, row => Object.assign(row, { freeAtMs: Date.now() + seconds * 1000 }))
  }

  async release(leases: readonly Lease[], options: { delaySeconds: number; failure?: unknown }) {
    return this.#change(leases, row => {
      row.holder = undefined
      row.freeAtMs = Date.now() + options.delaySeconds * 1000
      if (options.failure === undefined) row.attempts -= 1
    })
  }

  async delete(leases: readonly Lease[]) {
    return this.#change(leases, row => this.rows.delete(row.message.id))
  }

  async counts() {
    const waiting = [...this.rows.values()].filter(row => row.freeAtMs > Date.now())
    const leased = waiting.filter(row => row.holder !== undefined).length
    const unknown = { inserted: Number.NaN, completed: Number.NaN, quarantined: Number.NaN }
    return { enqueued: this.rows.size, leased, delayed: waiting.length - leased, ...unknown }
  }

  async purge() {
    this.rows.clear()
  }

  async close() {
    // There is no connection to give back.
  }

  #change(leases: readonly Lease[], change: (row: Row) => void): BatchFailure[] {
    const failures: BatchFailure[] = []
    leases.forEach(({ id, handle }, index) => {
      const row = this.rows.get(id)
      if (row !== undefined && row.holder === handle) change(row)
      else failures.push({ index, error: new LeaseLostError(`The lease of ${id} in ${this.label} was lost`, { id }) })
    })
    return failures
  }
}

export const opener: BackendOpener = {
  async open(url) {
    const rows = queues.get(url.path) ?? new Map<string, Row>()
    queues.set(url.path, rows)
    return new MapBackend(url.path, rows)
  },
}
