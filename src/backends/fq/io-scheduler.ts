/**
 * Schedules filesystem calls by how fast they are answered: blocking calls in short slices on a fast local disk, many pooled
 * calls in flight at once on a slow (network) filesystem.
 *
 * Node runs pooled calls on `UV_THREADPOOL_SIZE` threads, 4 unless the variable was set when the process started. It can't
 * be raised from inside: the loader of ES modules has started the pool before the first line of a program runs. So on a
 * slow filesystem a process whose pool is smaller than `concurrency` gets one warning.
 */
import { debugLog } from '../../runtime/debug-log.js'
import { type Awaitable, isPromise } from './awaitable.js'
import type { FileCalls, FileSystem, Place, WriteFlag } from './file-system.js'
import { yieldIfBusy } from './yield-if-busy.js'

// Milliseconds a call. A pooled call costs about 0.05 ms of the processor, a blocking one 0.005 ms: above half a
// millisecond of latency the waiting dominates. The threshold for going back is half of that, so that a filesystem near
// the limit doesn't alternate.
export const slowMs = 0.5
const fastMs = 0.25

// Blocking items in a row that are slower than slowMs: one pause of the garbage collector is not a slow disk.
const slowItems = 16

const defaultPoolThreads = 4

const goOn = () => true

let warned = false

export class IoScheduler {
  readonly #files: FileSystem
  readonly #concurrency: number
  readonly #durable: boolean
  readonly #label: string
  #place: Place | undefined
  #slow: boolean
  #slowItems = 0
  #inFlight = 0
  #waiting: (() => void)[] = []

  /**
   * @param concurrency how many items are worked on at once on a slow filesystem
   * @param durable every write waits for the disk, which makes any filesystem a slow one
   */
  constructor(files: FileSystem, options: { concurrency: number; durable: boolean; label: string }) {
    this.#files = files
    this.#concurrency = options.concurrency
    this.#durable = options.durable
    this.#label = options.label
    this.#slow = options.durable
  }

  /** The calls to use now. */
  get calls(): FileCalls {
    return this.#slow ? this.#files.pooled : this.#files.blocking
  }

  /** The calls that never block, on any filesystem. */
  get pooled(): FileCalls {
    return this.#files.pooled
  }

  /** The calls that block, on any filesystem. */
  get blocking(): FileCalls {
    return this.#files.blocking
  }

  /**
   * Finds out where `folder` is now: another filesystem may have been mounted over it. Over a network nothing blocks,
   * however fast the server answers: it may hang, and Node ends the process if a blocking call gets an error at a
   * file's close, such as ESTALE.
   */
  async learnPlace(folder: string): Promise<void> {
    this.#place = (await this.#files.placeOf?.(folder)) ?? 'local'
    if (this.#place === 'network') this.#slow = true
    debugLog('%s: on a %s filesystem', this.#label, this.#place)
  }

  /** The same for two paths of one folder, see `FileSystem.identityOf`. */
  async identityOf(folder: string): Promise<string> {
    return (await this.#files.identityOf?.(folder)) ?? folder
  }

  /** True if renames are reliable while another host works in the folder, see `FileSystem.placeOf`. */
  get knowsNames(): boolean {
    return this.#place === 'local'
  }

  get isSlow(): boolean {
    return this.#slow
  }

  /** Writes a whole file; with `durable`, on the disk. */
  write(path: string, text: string, flag: WriteFlag): Awaitable<void> {
    return this.#durable ? this.#files.writeSynced(path, text, flag) : this.calls.write(path, text, flag)
  }

  /** With `durable`: the names in `folder` are on the disk when this resolves. Once a batch. */
  async sync(folder: string): Promise<void> {
    if (this.#durable) await this.#files.syncFolder(folder)
  }

  /** Switches between blocking and pooled calls, by the time that one call took. */
  measured(milliseconds: number): void {
    if (this.#durable) return
    if (milliseconds > slowMs) {
      this.#slow = true
      this.#adviseThreads(milliseconds)
    } else if (milliseconds < fastMs && this.#place !== 'network') {
      this.#slow = false
    }
  }

  /**
   * Calls `step` again and again until one resolves with `false`: on a fast disk one after the other, in slices that leave
   * the event loop its turns; on a slow filesystem up to `concurrency` at once (over all calls of this queue), at most
   * `parallelism` for this call. A step that rejects ends the loops; the first error is thrown when all have ended.
   */
  async repeat(parallelism: number, step: () => Awaitable<boolean>): Promise<void> {
    const failures: unknown[] = []
    let going = true
    const worker = async () => {
      // One clock reading per step: the end of one is the start of the next.
      let nowMs = performance.now()
      while (going && failures.length === 0) {
        const inPool = this.#slow
        if (inPool) await this.#acquire()
        const startMs = nowMs
        try {
          const more = step()
          if (isPromise(more)) {
            if (!(await more)) going = false
            nowMs = performance.now()
          } else {
            if (!more) going = false
            nowMs = performance.now()
            // Only a step that blocked: the time of one that waited includes other work.
            if (!inPool) this.#blockedFor(nowMs - startMs)
          }
        } catch (error) {
          failures.push(error)
        } finally {
          if (inPool) this.#release()
        }
        const turn = yieldIfBusy(nowMs)
        if (turn !== undefined) {
          await turn
          nowMs = performance.now()
        }
      }
    }
    const width = this.#slow ? Math.min(parallelism, this.#concurrency) : 1
    await Promise.all(Array.from({ length: width }, worker))
    if (failures.length > 0) throw failures[0]
  }

  /** Calls `work` for each item, as `repeat` does. */
  async each<T>(items: readonly T[], work: (item: T, index: number) => Awaitable<void>): Promise<void> {
    let next = 0
    await this.repeat(items.length, () => {
      const index = next++
      const item = items[index]
      if (index >= items.length || item === undefined) return false
      const done = work(item, index)
      return isPromise(done) ? done.then(goOn) : true
    })
  }

  #blockedFor(milliseconds: number): void {
    this.#slowItems = milliseconds > slowMs ? this.#slowItems + 1 : 0
    if (this.#slowItems < slowItems) return
    this.#slow = true
    this.#slowItems = 0
    debugLog('%s: calls take %s ms, so they no longer block', this.#label, milliseconds.toFixed(1))
  }

  #adviseThreads(milliseconds: number): void {
    const threads = Number(process.env.UV_THREADPOOL_SIZE ?? defaultPoolThreads)
    if (warned || threads >= this.#concurrency) return
    warned = true
    process.emitWarning(
      `${this.#label} answers in ${milliseconds.toFixed(1)} ms a call, and Node runs only ${threads} calls at once. ` +
        `For ${this.#concurrency} at once start it with UV_THREADPOOL_SIZE=${this.#concurrency} in the environment.`,
      { type: 'PtqWarning', code: 'PTQ_SLOW_FILESYSTEM' },
    )
  }

  async #acquire(): Promise<void> {
    if (this.#inFlight < this.#concurrency) this.#inFlight++
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  // The permit passes to the next in line: the count stays.
  #release(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#inFlight--
    else next()
  }
}
