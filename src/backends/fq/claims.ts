/**
 * Claims: where a host may believe in a name that another host has changed, two workers that lease one task until the same
 * second would both succeed, since the second rename is onto the same file and does nothing. So there a lease takes two
 * renames: the first to a name that nobody else chooses, in the far future, which only one process can win; the second to the
 * name of the lease. A worker that dies between the two leaves its claim behind. Whoever sees the same claim again after a
 * minute ends it; a worker that was only stopped finds its claim gone then, as any lost race.
 */
import { endLease } from './finishing.js'
import type { TaskName } from './names.js'
import type { FileQueue } from './queue.js'

// The second rename follows the first at once; a network filesystem may hang for a while.
const CLAIM_MS = 60_000

export class Claims {
  readonly #seenMs = new Map<string, number>()
  #old: TaskName[] = []

  /** Tells of a claim in a listing. */
  saw(claim: TaskName): void {
    const nowMs = performance.now()
    const sinceMs = this.#seenMs.get(claim.name)
    if (sinceMs === undefined) this.#seenMs.set(claim.name, nowMs)
    else if (nowMs - sinceMs > CLAIM_MS) {
      this.#seenMs.delete(claim.name)
      this.#old.push(claim)
    }
  }

  /** Ends claims of the dead: their tasks may be leased again. */
  async endOld(queue: FileQueue): Promise<void> {
    const old = this.#old
    this.#old = []
    for (const claim of old) await endLease(queue, claim)
    // Those that became leases are never seen again.
    for (const [name, sinceMs] of this.#seenMs) {
      if (performance.now() - sinceMs > 10 * CLAIM_MS) this.#seenMs.delete(name)
    }
  }
}
