/** The dead letters of a queue by reason: read when a page asks, once for all pages. */

import { lastReason } from '../queue/queued-task.js'
import { otherReasons, ReasonCounts } from '../queue/reason-counts.js'
import { printable } from '../text/printable.js'
import type { Sampler } from './sampler.js'

/** Groups that are sent; the rest is counted. */
const maxGroups = 100

/** A report is this old before the dead letters are read again, and ten times as old as its reading took. Milliseconds. */
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
  /** Raised by {@link invalidate}: a reading that began before shows what was changed since. */
  #version = 0

  constructor(sampler: Sampler) {
    this.#sampler = sampler
  }

  /** The last report where it is new enough, otherwise another one. */
  async read(): Promise<FailureReport> {
    if (this.#last !== undefined && performance.now() < this.#validUntilMs) return this.#last
    if (this.#reading === undefined) {
      const reading = this.#read().finally(() => {
        if (this.#reading === reading) this.#reading = undefined
      })
      this.#reading = reading
    }
    return this.#reading
  }

  /** The next report is read from the queue, after what has changed by now. */
  invalidate(): void {
    this.#version++
    this.#validUntilMs = 0
    this.#reading = undefined
  }

  async #read(): Promise<FailureReport> {
    const startMs = performance.now()
    const version = this.#version
    const reasons = new ReasonCounts()
    const { queue, place } = this.#sampler
    for await (const letter of queue.failures(place)) reasons.add(lastReason(letter), letter.id)
    const groups = reasons.groups()
    const report: FailureReport = {
      atMs: Date.now(),
      total: reasons.total,
      groups: groups
        .slice(0, maxGroups)
        .map(group => ({ ...group, text: printable(group.reason), isOther: group.reason === otherReasons })),
      moreGroups: Math.max(0, groups.length - maxGroups),
    }
    if (version === this.#version) {
      const endMs = performance.now()
      this.#last = report
      this.#validUntilMs = endMs + Math.max(minAgeMs, (endMs - startMs) * ageToDuration)
    }
    return report
  }
}
