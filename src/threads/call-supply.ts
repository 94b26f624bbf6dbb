/** The calls that the threads of a run take next. */

import type { BusyThread } from './busy-thread.js'
import type { BusyThreads } from './busy-threads.js'
import type { Call } from './call.js'
import { refuseEntryScript } from './entry-script.js'
import type { RunOptions } from './run-options.js'

export class CallSupply<T> {
  readonly #options: Pick<RunOptions<T>, 'source' | 'toCall' | 'mayPull'>
  readonly #threads: BusyThreads
  /** Calls to be run again elsewhere: taken from a slow thread or left by a crashed one. */
  #returned: Call[] = []
  /** Calls that were taken before. Only these few: a weak set of all calls would cost each task half a microsecond. */
  readonly #takenBefore = new WeakSet<Call>()
  #isStopped = false
  #failure: { readonly thrown: unknown } | undefined

  /** @param threads the busy threads of the run, from which idle ones take what they have not begun */
  constructor(options: Pick<RunOptions<T>, 'source' | 'toCall' | 'mayPull'>, threads: BusyThreads) {
    this.#options = options
    this.#threads = threads
  }

  /** True after {@link stop}. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** The error that ended the run, or that the source threw. */
  get failure(): { readonly thrown: unknown } | undefined {
    return this.#failure ?? this.#options.source.error
  }

  /** True if some thread has calls that it has not begun. */
  get hasWaiting(): boolean {
    return this.#threads.hasWaiting
  }

  /** True if nothing is left to do, running or to come. */
  get isOver(): boolean {
    const { ended } = this.#options.source
    return this.#isStopped || (ended && this.#threads.size === 0 && this.#returned.length === 0)
  }

  /**
   * Up to `max` calls for a thread: returned ones first, then the source's, then what other threads have not begun.
   *
   * @param loop the number of the asking loop
   * @param busy the thread that they are for, if it is running others
   * @throws Error about the first call of the source that can't be run in a thread; none of them was taken
   */
  take(max: number, loop: number, busy?: BusyThread): Call[] {
    if (this.#isStopped) return []
    if (this.#returned.length > 0) return this.#returned.splice(0, max)
    const { source, toCall } = this.#options
    const calls = this.#mayPull ? source.take(max, loop).map(toCall) : []
    // Checked before any of them is sent, so that nothing has run when the error is about all of them.
    for (const { code } of calls) refuseEntryScript(code)
    if (calls.length > 0) return calls
    const stolen = this.#threads.steal(busy === undefined ? Number.POSITIVE_INFINITY : max, busy)
    if (stolen.length > 0) this.wantNone(loop)
    for (const call of stolen) this.#takenBefore.add(call)
    return stolen
  }

  /** True for a call that was taken back, or put back, before it began. */
  wasTakenBefore(call: Call): boolean {
    return this.#takenBefore.has(call)
  }

  /** Tells the source that this loop asks for nothing more for now: it found other work. */
  wantNone(loop: number): void {
    if (!this.#isStopped) this.#options.source.take(0, loop)
  }

  /** Finds out whether the source has ended, without taking anything. */
  peek(): void {
    if (this.#mayPull) this.#options.source.peek?.()
  }

  /** Resolves when the source may have calls; `undefined` while nothing is to be pulled from it. */
  ready(): Promise<void> | undefined {
    const { source } = this.#options
    return source.ended || !this.#mayPull ? undefined : source.ready()
  }

  /** Puts calls back that have not begun. After {@link stop} they are dropped. */
  putBack(calls: readonly Call[]): void {
    if (this.#isStopped) return
    for (const call of calls) {
      this.#takenBefore.add(call)
      this.#returned.push(call)
    }
  }

  /** Drops a call that was put back. */
  drop(call: Call): void {
    this.#returned = this.#returned.filter(returned => returned !== call)
  }

  /** Hands out nothing more. Returns the calls that had been put back, and those that no thread has begun. */
  stop(): Call[] {
    if (this.#isStopped) return []
    this.#isStopped = true
    const withdrawn = this.#returned.concat(this.#threads.withdraw(performance.now(), false))
    this.#returned = []
    return withdrawn
  }

  /** Ends the run because of an error; the first one counts. */
  fail(thrown: unknown): void {
    this.#failure ??= { thrown }
    this.stop()
  }

  get #mayPull(): boolean {
    return this.#options.mayPull?.() ?? true
  }
}
