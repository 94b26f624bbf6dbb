/**
 * Claims, see `exclusive-rename.ts`: a process that dies between the two renames leaves the task under a name in the
 * far future. A worker that sees the same claim again after a minute ends it; a process that was only stopped then
 * finds its claim gone, like after a lost race. A holder that writes about its task holds it under a claim too, see
 * `prolong`.
 */
import { endLease } from './lease-changes.js'
import type { TaskName } from './names.js'
import type { FileQueue } from './queue.js'

// The second rename follows the first at once, or after a few writes; a network filesystem may hang for a while.
const claimMs = 60_000

export class StaleClaims {
  readonly #seenMs = new Map<string, number>()
  #old: TaskName[] = []

  /** Notes a claim that a listing has. */
  saw(claim: TaskName): void {
    const nowMs = performance.now()
    const sinceMs = this.#seenMs.get(claim.name)
    if (sinceMs === undefined) this.#seenMs.set(claim.name, nowMs)
    else if (nowMs - sinceMs > claimMs) {
      this.#seenMs.delete(claim.name)
      this.#old.push(claim)
    }
  }

  /** Ends claims of dead processes: their tasks may be leased again. */
  async endOld(queue: FileQueue): Promise<void> {
    const old = this.#old
    this.#old = []
    for (const claim of old) await endLease(queue, claim)
    // Those that became leases are never seen again.
    for (const [name, sinceMs] of this.#seenMs) {
      if (performance.now() - sinceMs > 10 * claimMs) this.#seenMs.delete(name)
    }
  }
}
