/**
 * Records when the leases of an SQS queue end, as its server sees it. SQS deletes without an error for a holder whose
 * lease has ended: a delete that was in transit when the lease ended, and arrived when another worker had the task,
 * can't be distinguished from a good one. Such a task runs twice; these records identify it.
 */
import { keysIn } from './tasks.js'

export interface ReceiveReply {
  readonly Messages?: readonly { readonly ReceiptHandle: string; readonly Body: string }[]
}

interface Entry {
  readonly Id: string
  readonly ReceiptHandle?: string
  readonly VisibilityTimeout?: number
}

/** Between the server and the proxy, which reads the clock a little later. */
const TRAVEL_MS = 100

export class Leases {
  readonly #onLate: (key: string) => void
  readonly #held = new Map<string, { readonly key: string; endsAtMs: number }>()

  constructor(onLate: (key: string) => void) {
    this.#onLate = onLate
  }

  received(seconds: number, { Messages = [] }: ReceiveReply): void {
    for (const { ReceiptHandle, Body } of Messages) {
      const [key] = keysIn(Body)
      if (key !== undefined) this.#held.set(ReceiptHandle, { key, endsAtMs: endOf(seconds) })
    }
    // Leases of dead processes get no further requests.
    const forgottenMs = performance.now() - 600_000
    for (const [handle, { endsAtMs }] of this.#held) {
      if (endsAtMs > forgottenMs) break
      this.#held.delete(handle)
    }
  }

  changed(entries: readonly Entry[]): void {
    for (const { ReceiptHandle = '', VisibilityTimeout = 0 } of entries) {
      const lease = this.#held.get(ReceiptHandle)
      if (lease !== undefined) lease.endsAtMs = endOf(VisibilityTimeout)
    }
  }

  /** @returns the keys of what was deleted */
  deleted(entries: readonly Entry[]): string[] {
    const keys: string[] = []
    for (const { ReceiptHandle = '' } of entries) {
      const lease = this.#held.get(ReceiptHandle)
      if (lease === undefined) continue
      if (lease.endsAtMs <= performance.now()) this.#onLate(lease.key)
      this.#held.delete(ReceiptHandle)
      keys.push(lease.key)
    }
    return keys
  }
}

function endOf(seconds: number): number {
  return performance.now() + seconds * 1000 - TRAVEL_MS
}
