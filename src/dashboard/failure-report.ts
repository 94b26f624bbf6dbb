/** The dead letters of a queue by reason: read when a page asks, once for all pages. */

import { lastReason } from '../queue/queued-task.js'
import { otherReasons, ReasonCounts } from '../queue/reason-counts.js'
import { printable } from '../text/printable.js'
import type { Sampler } from './sampler.js'

/** Groups that are sent; the rest is counted. */
const maxGroups = 100

/** A report is this old before the letters are read again, and ten times as old as its reading took. Milliseconds. */
const minAgeMs = 5_000
const ageToDuration = 10

/** Failures by reason, the most frequent first. */
export interface FailureReport {
  readonly atMs: number
  readonly total: number
  readonly groups: readonly {
    /** For `retry`. */
    readonly reason: string
    /** Fit to be shown. */
    readonly text: string
    readonly count: number
    readonly ids: readonly string[]
    readonly isOther: boolean
  }[]
  /** Groups that are left out here. */
  readonly moreGroups: number
}

export class FailureReports {
  readonly #sampler: Sampler
  #reading: Promise<FailureReport> | undefined
  #last: FailureReport | undefined
  #validUntilMs = 0

  constructor(sampler: Sampler) {
    this.#sampler = sampler
  }

  /** The last report where it is new enough, otherwise another one. */
  async read(): Promise<FailureReport> {
    if (this.#last !== undefined && performance.now() < this.#validUntilMs) return this.#last
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** The next report is read anew. */
  invalidate(): void {
    this.#validUntilMs = 0
  }

  async #read(): Promise<FailureReport> {
    const startMs = performance.now()
    const reasons = new ReasonCounts()
    const { queue, place } = this.#sampler
    for await (const letter of queue.failures(place)) reasons.add(lastReason(letter), letter.id)
    const groups = reasons.groups()
    this.#last = {
      atMs: Date.now(),
      total: reasons.total,
      groups: groups
        .slice(0, maxGroups)
        .map(group => ({ ...group, text: printable(group.reason), isOther: group.reason === otherReasons })),
      moreGroups: Math.max(0, groups.length - maxGroups),
    }
    const endMs = performance.now()
    this.#validUntilMs = endMs + Math.max(minAgeMs, (endMs - startMs) * ageToDuration)
    return this.#last
  }
}
