/** A queue in memory: all verbs. */
import type { Backend, Capabilities, Counts, WorkerStatus } from '../../backend/backend.js'
import type { BatchFailure, Failure, Lease, ListedMessage, Message } from '../../backend/messages.js'
import { tasksOfMessage } from '../../backend/pack-ids.js'
import { LeaseLostError } from '../../errors/errors.js'
import type { Clock } from '../../time/clock.js'
import { onAbort } from '../../time/on-abort.js'
import { MemResults } from './results.js'
import { MemUploads } from './uploads.js'

interface Entry {
  message: Message
  /** Time from which it may be leased, in ms since 1970. */
  availableMs: number
  /** The last lease; `undefined` once it was released. */
  holder: symbol | undefined
  attempts: number
  /** Holders that let their lease run out. */
  deaths: number
  deathsAlone: number
  /** The holder runs it alone. */
  runsAlone: boolean
  readonly failures: Failure[]
}

const capabilities: Capabilities = {
  insertBatch: 1000,
  leaseBatch: 1000,
  exactCounts: true,
  counters: true,
  listing: true,
  releaseAll: true,
  history: true,
  dedupesInserts: true,
  maxDelaySeconds: Number.POSITIVE_INFINITY,
  maxLeaseSeconds: Number.POSITIVE_INFINITY,
  secondsStep: 0.001,
  threads: false,
}

/** A queue in memory. */
export class MemQueue implements Backend {
  readonly capabilities = capabilities
  readonly label: string
  readonly queueName: string
  readonly deadLetterUrl: string
  readonly clock: Clock
  readonly uploads = new MemUploads((messages, options) => this.insert(messages, options))
  readonly results = new MemResults()
  /** The number of callers that opened the queue and have not closed it. */
  opened = 0
  readonly #drop: (queue: MemQueue) => void

  #entries = new Map<string, Entry>()
  /** Entries to lease in their order, from `#head` on; those that are gone or were leased again are skipped. */
  #ready: Entry[] = []
  #head = 0
  /** Leased and delayed entries. */
  readonly #waiting = new Set<Entry>()
  /** No waiting entry is due before this moment, in ms since 1970. */
  #nextDueMs = Number.POSITIVE_INFINITY
  readonly #quarantine = new Map<string, { message: Message; reason: string }>()
  readonly #wakers = new Set<() => void>()
  readonly #workers = new Map<string, WorkerStatus>()
  #inserted = 0
  #completed = 0

  /** @param drop called when the queue is closed by all and empty */
  constructor(name: string, clock: Clock, drop: (queue: MemQueue) => void) {
    this.#drop = drop
    this.label = `mem://${name}`
    this.queueName = name
    this.deadLetterUrl = `mem://${name}/failed`
    this.clock = clock
  }

  async insert(messages: readonly Message[], { delaySeconds }: { delaySeconds: number }): Promise<BatchFailure[]> {
    for (const { id, body } of messages) {
      if (this.#entries.has(id)) continue
      const entry: Entry = {
        message: { id, body },
        availableMs: 0,
        holder: undefined,
        attempts: 0,
        deaths: 0,
        deathsAlone: 0,
        runsAlone: false,
        failures: [],
      }
      this.#entries.set(id, entry)
      this.#park(entry, delaySeconds)
    }
    this.#wake()
    return []
  }

  async lease(options: { seconds: number; max: number; waitSeconds: number; signal?: AbortSignal }): Promise<Lease[]> {
    const { seconds, max, waitSeconds, signal } = options
    const endMs = this.clock.nowMs() + waitSeconds * 1000
    for (;;) {
      const leases = signal?.aborted ? [] : this.#take(seconds, max)
      const nowMs = this.clock.nowMs()
      if (leases.length > 0 || nowMs >= endMs || signal?.aborted) return leases
      await this.#change(Math.min(endMs, this.#nextDueMs) - nowMs, signal)
    }
  }

  async renew(leases: readonly Lease[], seconds: number): Promise<BatchFailure[]> {
    return this.#forEachHeld(leases, (entry, holder) => {
      const { runsAlone } = entry
      this.#park(entry, seconds)
      entry.holder = holder
      entry.runsAlone = runsAlone
    })
  }

  async runsAlone(lease: Lease): Promise<void> {
    const [failure] = this.#forEachHeld([lease], entry => {
      entry.runsAlone = true
    })
    if (failure !== undefined) throw failure.error
  }

  async release(
    leases: readonly Lease[],
    { delaySeconds, failure }: { delaySeconds: number; failure?: Failure },
  ): Promise<BatchFailure[]> {
    const failures = this.#forEachHeld(leases, entry => {
      if (failure === undefined) entry.attempts -= 1
      else entry.failures.push(failure)
      this.#park(entry, delaySeconds)
    })
    this.#wake()
    return failures
  }

  async delete(
    leases: readonly Lease[],
    { tally, completions }: { tally: boolean; completions?: readonly number[] },
  ): Promise<BatchFailure[]> {
    return this.#forEachHeld(leases, (entry, _holder, index) => {
      this.#remove(entry)
      if (tally) this.#completed += completions?.[index] ?? 1
    })
  }

  async replace(lease: Lease, body: string): Promise<void> {
    const [failure] = this.#forEachHeld([lease], entry => {
      entry.message = { id: entry.message.id, body }
    })
    if (failure !== undefined) throw failure.error
  }

  async counts(): Promise<Counts> {
    this.#collectDue()
    let enqueued = 0
    let leased = 0
    let delayed = 0
    for (const id of this.#entries.keys()) enqueued += tasksOfMessage(id)
    for (const { message, holder } of this.#waiting) {
      if (holder === undefined) delayed += tasksOfMessage(message.id)
      else leased += tasksOfMessage(message.id)
    }
    return {
      enqueued,
      ...(enqueued !== this.#entries.size && { messages: this.#entries.size }),
      leased,
      delayed,
      inserted: this.#inserted,
      completed: this.#completed,
      quarantined: this.#quarantine.size,
    }
  }

  async purge(): Promise<void> {
    this.results.clear()
    this.#entries = new Map()
    this.#ready = []
    this.#head = 0
    this.#waiting.clear()
    this.#nextDueMs = Number.POSITIVE_INFINITY
    this.#quarantine.clear()
    this.uploads.clear()
    await this.rezero()
  }

  async addInserted(count: number): Promise<void> {
    this.#inserted += count
  }

  async rezero(): Promise<void> {
    this.#inserted = 0
    this.#completed = 0
  }

  async releaseAll(): Promise<number> {
    this.#collectDue()
    let released = 0
    for (const entry of this.#waiting) {
      if (entry.holder === undefined) continue
      entry.attempts -= 1
      released += tasksOfMessage(entry.message.id)
      this.#park(entry, 0)
    }
    this.#wake()
    return released
  }

  async *list(): AsyncGenerator<ListedMessage> {
    // A copy: a caller that inserts during the listing must not see its own messages endlessly.
    for (const entry of [...this.#entries.values()]) {
      this.#collectDue()
      if (!this.#isEnqueued(entry)) continue
      const state = !this.#waiting.has(entry) ? 'ready' : entry.holder === undefined ? 'delayed' : 'leased'
      const availableInSeconds = (entry.availableMs - this.clock.nowMs()) / 1000
      yield { ...entry.message, state, ...(state !== 'ready' && { availableInSeconds }) }
    }
  }

  async reportWorker(worker: string, status: WorkerStatus | undefined): Promise<void> {
    if (status === undefined) this.#workers.delete(worker)
    else this.#workers.set(worker, status)
  }

  async workers(): Promise<WorkerStatus[]> {
    return [...this.#workers.values()]
  }

  async quarantine(lease: Lease, reason: string): Promise<void> {
    const [failure] = this.#forEachHeld([lease], entry => {
      this.#remove(entry)
      this.#quarantine.set(lease.id, { message: entry.message, reason })
    })
    if (failure !== undefined) throw failure.error
  }

  async failures(message: Message): Promise<readonly Failure[]> {
    return [...(this.#entries.get(message.id)?.failures ?? [])]
  }

  async close(): Promise<void> {
    this.opened -= 1
    const forgettable = this.#entries.size + this.#quarantine.size + this.#inserted + this.#completed === 0
    if (this.opened === 0 && forgettable) this.#drop(this)
  }

  #take(seconds: number, max: number): Lease[] {
    this.#collectDue()
    const leases: Lease[] = []
    while (leases.length < max && this.#head < this.#ready.length) {
      const entry = this.#ready[this.#head++]
      // Released twice, or renewed by its holder after it ran out.
      if (entry === undefined || !this.#isEnqueued(entry) || this.#waiting.has(entry)) continue
      // It was not released: its last lease ran out.
      if (entry.holder !== undefined) entry.deaths += 1
      if (entry.runsAlone) entry.deathsAlone += 1
      const handle = Symbol(entry.message.id)
      this.#park(entry, seconds)
      entry.holder = handle
      entry.attempts += 1
      const { message, attempts: attempt, deaths, deathsAlone } = entry
      leases.push({ ...message, attempt, deaths, deathsAlone, handle })
    }
    // Moving the rest forward costs less than one step for each entry that was taken.
    if (this.#head > 1024 && this.#head * 2 > this.#ready.length) {
      this.#ready.splice(0, this.#head)
      this.#head = 0
    }
    return leases
  }

  /** Ends the lease of the entry, which may be leased again `seconds` from now. */
  #park(entry: Entry, seconds: number): void {
    entry.holder = undefined
    entry.runsAlone = false
    entry.availableMs = seconds === 0 ? 0 : this.clock.nowMs() + seconds * 1000
    if (seconds === 0) {
      this.#waiting.delete(entry)
      this.#ready.push(entry)
    } else {
      this.#waiting.add(entry)
      this.#nextDueMs = Math.min(this.#nextDueMs, entry.availableMs)
    }
  }

  /** Moves due entries from waiting to ready. The holder of an expired lease keeps it until someone else leases. */
  #collectDue(): void {
    const nowMs = this.clock.nowMs()
    if (nowMs < this.#nextDueMs) return
    this.#nextDueMs = Number.POSITIVE_INFINITY
    for (const entry of this.#waiting) {
      if (entry.availableMs <= nowMs) {
        this.#waiting.delete(entry)
        this.#ready.push(entry)
      } else {
        this.#nextDueMs = Math.min(this.#nextDueMs, entry.availableMs)
      }
    }
  }

  #forEachHeld(
    leases: readonly Lease[],
    change: (entry: Entry, holder: symbol, index: number) => void,
  ): BatchFailure[] {
    const failures: BatchFailure[] = []
    leases.forEach(({ id, handle }, index) => {
      const entry = this.#entries.get(id)
      if (entry !== undefined && typeof handle === 'symbol' && entry.holder === handle) {
        change(entry, handle, index)
      } else {
        const message = `The lease of ${id} in ${this.label} was lost: it ran out, was released, or the message is gone.`
        failures.push({ index, error: new LeaseLostError(message, { id }) })
      }
    })
    return failures
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.message.id)
    this.#waiting.delete(entry)
  }

  #isEnqueued(entry: Entry): boolean {
    return this.#entries.get(entry.message.id) === entry
  }

  #wake(): void {
    for (const wake of this.#wakers) wake()
  }

  /** Resolves when a message may have become ready, after `ms` at the latest, or when `signal` aborts. */
  #change(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        cancelAlarm()
        this.#wakers.delete(done)
        stopListening()
        resolve()
      }
      const cancelAlarm = this.clock.setAlarm(ms, done)
      this.#wakers.add(done)
      const stopListening = onAbort(signal, () => void Promise.resolve().then(done))
    })
  }
}
