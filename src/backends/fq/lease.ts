/** Leasing: a task's file is renamed from its listed name to `<end of the lease>--<id>.json`. One process wins. */
import type { Lease } from '../../backend/messages.js'
import { sleep } from '../../time/sleep.js'
import { type Awaitable, after, isPromise } from './awaitable.js'
import { Candidates, lookAgainMs } from './candidates.js'
import { renameExclusively } from './exclusive-rename.js'
import { codeOfNoFile, textOfNoFile } from './file-system.js'
import type { FileLeaseHandle } from './handle.js'
import { inside, isQueue } from './layout.js'
import { endOfLease, nameOf, type TaskName } from './names.js'
import { type FileQueue, queueFault } from './queue.js'
import type { SkippedTasks } from './skipped-tasks.js'
import { StaleClaims } from './stale-claims.js'

// Pauses while a worker waits for tasks: from 20 ms, each 1.6 times the last, up to a second. Reading a folder of a
// million leased tasks takes a second itself, so at most a fifth of the time is spent on reading.
const firstPauseMs = 20
const pauseGrowth = 1.6
const maxPauseMs = 1_000
const pausePerLook = 4

/** The part of a lease's length that one call may spend on taking leases. */
const collectingShare = 0.25

export interface FileLeaseOptions {
  readonly seconds: number
  readonly max: number
  readonly waitSeconds: number
  readonly signal?: AbortSignal
}

export class Leaser {
  readonly #queue: FileQueue
  readonly #candidates: Candidates
  readonly #skipped: SkippedTasks
  readonly #claims = new StaleClaims()
  readonly #closing = new AbortController()
  #saidMissing = false
  /** First renames under way that don't block, and who waits for one of them to end. */
  #racing = 0
  #waiting: (() => void)[] = []

  constructor(queue: FileQueue, skipped: SkippedTasks) {
    this.#queue = queue
    this.#skipped = skipped
    const nowSeconds = () => queue.clock.nowSeconds
    this.#candidates = new Candidates(queue.io, queue.layout, nowSeconds, claim => this.#claims.saw(claim))
  }

  async lease({ seconds, max, waitSeconds, signal }: FileLeaseOptions): Promise<Lease[]> {
    const deadlineMs = performance.now() + waitSeconds * 1000
    const signals = signal === undefined ? [this.#closing.signal] : [this.#closing.signal, signal]
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * pauseGrowth, maxPauseMs)) {
      if (signals.some(({ aborted }) => aborted)) return []
      const startMs = performance.now()
      const leases = (await this.#queue.clock.ready()) ? await this.#tidyAndLease(seconds, max, signals) : []
      if (leases.length > 0) return leases
      await this.#sayMissing()
      const endMs = performance.now()
      const leftMs = deadlineMs - endMs
      if (leftMs <= 0) {
        // Thrown only now, so that one unreadable file neither hides the others nor ends the wait for new ones.
        this.#skipped.throwUnreadable()
        return []
      }
      const longMs = Math.max(pauseMs, pausePerLook * (endMs - startMs))
      await sleep(Math.min(leftMs, longMs * (0.5 + Math.random() / 2)), ...signals)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#candidates.close()
  }

  async #tidyAndLease(seconds: number, max: number, signals: readonly AbortSignal[]): Promise<Lease[]> {
    await this.#claims.endOld(this.#queue)
    return this.#leaseNow(seconds, max, signals)
  }

  async #leaseNow(seconds: number, max: number, signals: readonly AbortSignal[]): Promise<Lease[]> {
    const mark = this.#candidates.readingsBegun
    const leases: Lease[] = []
    const faults: unknown[] = []
    let wanted = max
    let isOver = false
    // The first lease must not run out while the last is taken: over a network, a thousand may take longer than a short lease.
    const isAborted = () => signals.some(({ aborted }) => aborted)
    const enoughMs = performance.now() + seconds * 1000 * collectingShare
    const isEnough = () => wanted === 0 || isOver || (leases.length > 0 && performance.now() > enoughMs)
    const tried = (lease: Lease | undefined) => {
      if (lease === undefined) wanted++
      else leases.push(lease)
      return true
    }
    const filled = async (isFilled: boolean): Promise<boolean> => {
      // The folder may be long, and all of its names gone.
      if (isAborted()) isOver = true
      if (isFilled || isOver) return !isOver
      // Another worker is reading. What is leased already must not wait for that.
      if (leases.length === 0) await sleep(lookAgainMs, ...signals)
      if (leases.length > 0 || isAborted()) isOver = true
      return !isOver
    }
    const step = (): Awaitable<boolean> => {
      if (isEnough()) return false
      if (this.#racing >= this.#candidates.parallelism) return this.#raceEnds()
      if (this.#candidates.isLow) return this.#candidates.fill(isAborted).then(filled)
      const candidate = this.#candidates.take()
      if (candidate !== undefined) {
        wanted--
        return after(this.#try(candidate, seconds), tried)
      }
      // The folder, as it was during this call, has no free task; or has given some, and the skipped names are for the next call.
      if (leases.length > 0 ? this.#candidates.readSince(mark) : this.#candidates.readWhollySince(mark)) isOver = true
      return isOver ? false : this.#candidates.fill(isAborted).then(filled)
    }
    // The loops end when as many as wanted are being tried; for those that are lost, they start again.
    while (!isEnough() && faults.length === 0) {
      await this.#queue.io.repeat(wanted, step).catch((error: unknown) => faults.push(error))
    }
    // Leases taken before a fault are returned, or they would be lost until they expire; the next call gets a lasting
    // fault again.
    if (leases.length === 0 && faults.length > 0) throw queueFault(this.#queue, 'Leasing', faults[0])
    return leases
  }

  #raceEnds(): Promise<true> {
    return new Promise(resolve => this.#waiting.push(() => resolve(true)))
  }

  /** Waits for a rename, and lets others try when its outcome is known. */
  async #race<T>(rename: Promise<boolean>, renamed: (won: boolean) => T): Promise<Awaited<T>> {
    this.#racing++
    let found: T
    try {
      found = renamed(await rename)
    } finally {
      this.#racing--
      for (const wake of this.#waiting.splice(0)) wake()
    }
    return await found
  }

  #try(candidate: TaskName, seconds: number): Awaitable<Lease | undefined> {
    const { id, name } = candidate
    const path = inside(this.#queue.layout.queue, name)
    if (!this.#skipped.has(id)) return this.#take(candidate, path, seconds)
    return after(this.#skipped.isStill(id, path), still => (still ? undefined : this.#take(candidate, path, seconds)))
  }

  // The next three take turns without a promise where the calls block: no closures either, of which a task would need six.
  #take(candidate: TaskName, path: string, seconds: number): Awaitable<Lease | undefined> {
    const { layout, io, clock } = this.#queue
    const { partition } = this.#candidates
    const until = endOfLease(clock.nowSeconds + seconds, candidate.available)
    const heldPath = inside(layout.queue, nameOf(until, candidate.id))
    const won = renameExclusively(io, layout.queue, candidate.id, path, heldPath, 'hint')
    if (isPromise(won)) {
      return this.#race(won, there => this.#renamed(there, partition, candidate, path, until, heldPath))
    }
    return this.#renamed(won, partition, candidate, path, until, heldPath)
  }

  #renamed(won: boolean, partition: number, candidate: TaskName, path: string, until: number, heldPath: string) {
    if (!won) {
      this.#candidates.lost(partition)
      return undefined
    }
    this.#candidates.won(partition)
    const body = this.#read(candidate, heldPath)
    if (isPromise(body)) return body.then(text => this.#leased(text, candidate, path, until, heldPath))
    return this.#leased(body, candidate, path, until, heldPath)
  }

  #leased(body: string | undefined, candidate: TaskName, path: string, until: number, heldPath: string) {
    const { id, available } = candidate
    const lease = { id, body: body ?? '', attempt: 1, handle: { until, from: available } satisfies FileLeaseHandle }
    return available === 0 && body ? lease : this.#begin(lease, candidate, path, heldPath, body)
  }

  // A task whose first worker died may have been too long for its memory: the next one checks the size before it reads.
  #read({ id, available }: TaskName, path: string): Awaitable<string | undefined> {
    const unreadable = (error: unknown) => {
      try {
        return textOfNoFile(error)
      } catch {
        return this.#skipped.addUnreadable(id, error)
      }
    }
    try {
      const body = this.#queue.io.calls.read(path, available === 0 ? 'at once' : 'size first')
      return isPromise(body) ? body.catch(unreadable) : body
    } catch (error) {
      return unreadable(error)
    }
  }

  /** All that is not the first lease of a whole task. */
  async #begin(lease: Lease, candidate: TaskName, path: string, heldPath: string, body: string | undefined) {
    const { io, history } = this.#queue
    const { id, available } = candidate
    // Unreadable; or moved or removed by hand, or purged, since the rename: then this rename does nothing. One that isn't given
    // back comes back when its lease ends.
    const releaseUncounted = () => io.calls.rename(heldPath, path, 'hint')
    if (body === undefined || (body === '' && (await this.#skipped.addIfYoung(id, heldPath)))) {
      await releaseUncounted()
      return undefined
    }
    try {
      return available === 0 ? lease : { ...lease, ...(await history.takenOver(candidate, heldPath)) }
    } catch (error) {
      // Quarantined: its attempts can't be counted, so it would be retried without end.
      const code = codeOfNoFile(error)
      if (code !== undefined) return { ...lease, body: `no record: ${code}` }
      await releaseUncounted()
      throw error
    }
  }

  // A worker may be started before the first insert, so a path that is no queue is waited for, with a warning in case it is mistyped.
  async #sayMissing(): Promise<void> {
    if (this.#saidMissing) return
    this.#saidMissing = true
    if (await isQueue(this.#queue.io, this.#queue.layout)) return
    process.emitWarning(`There is no queue at ${this.#queue.layout.root} (yet): waiting for its first insert.`, {
      type: 'PtqWarning',
      code: 'PTQ_NO_QUEUE',
    })
  }
}
