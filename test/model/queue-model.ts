/** A queue as simple as it can be: what every backend has to do, without how. Time in seconds, from 0. */
import assert from 'node:assert/strict'

/** A message that is in the queue. */
export interface ModelMessage {
  readonly id: string
  /** It may be leased from then on. */
  availableAt: number
  /** The current lease; kept when it has expired, until somebody else leases. */
  lease: object | undefined
  /**
   * The number of earlier attempts; a release of all leases may count as the end of one or not. `undefined`: unknown,
   * because the task was changed by a holder whose lease was ended by force.
   */
  attempts: { least: number; most: number } | undefined
  /** The number of times its time became one from which the next lease may get any end, see `expected`. */
  freshTimes: number
  /** Reasons, oldest first. */
  readonly failures: string[]
}

/** The file queue rounds to whole seconds, and ends some leases a second later. */
const ROUNDING_SECONDS = 2

/** Possible outcomes of changing a lease. */
export type Expected = 'done' | 'lost' | 'either'

export class QueueModel {
  readonly messages = new Map<string, ModelMessage>()
  /** Ends of the leases that `releaseAll` took from holders that were alive. */
  readonly #endedByForce = new Map<object, { end: number; freshTimes: number }>()
  now = 0
  inserted = 0
  completed = 0
  quarantined = 0

  insert(id: string, delaySeconds: number): void {
    assert.ok(!this.messages.has(id))
    this.messages.set(id, {
      id,
      availableAt: this.now + delaySeconds,
      lease: undefined,
      attempts: { least: 0, most: 0 },
      freshTimes: 0,
      failures: [],
    })
  }

  isFree(message: ModelMessage): boolean {
    return message.availableAt <= this.now
  }

  get free(): ModelMessage[] {
    return [...this.messages.values()].filter(message => this.isFree(message))
  }

  /** `lease` got this message, as its `attempt`. */
  leased(id: string, attempt: number, lease: object, seconds: number): void {
    const message = this.messages.get(id)
    assert.ok(message !== undefined, `${id} was leased, which is not in the queue`)
    assert.ok(this.isFree(message), `${id} was leased, which is not free`)
    if (message.attempts !== undefined) {
      const { least, most } = message.attempts
      assert.ok(attempt > least && attempt <= most + 1, `attempt ${attempt} of ${id}, after ${least} to ${most}`)
      message.attempts = { least: attempt, most: attempt }
    }
    if (message.lease !== undefined) message.freshTimes++
    message.lease = lease
    message.availableAt = this.now + seconds
  }

  /**
   * A lease that expired while nobody else took the message may be reported lost, or still be valid. `releaseAll` is
   * for when all holders are dead: a live one can't reach the next lease; but after a second `releaseAll`, a delay, or
   * an expired lease, it may reach the message again while that happens to have the time at which its lease would have
   * ended.
   */
  expected(id: string, lease: object): Expected {
    const message = this.messages.get(id)
    if (message === undefined) return 'lost'
    if (message.lease === lease) return this.isFree(message) ? 'either' : 'done'
    const ended = this.#endedByForce.get(lease)
    if (ended === undefined || ended.freshTimes === message.freshTimes) return 'lost'
    return Math.abs(ended.end - message.availableAt) <= ROUNDING_SECONDS ? 'either' : 'lost'
  }

  renewed(id: string, lease: object, seconds: number): void {
    const message = this.#changed(id, lease)
    message.lease = lease
    message.availableAt = this.now + seconds
  }

  released(id: string, lease: object, delaySeconds: number, failure: string | undefined): void {
    const message = this.#changed(id, lease)
    message.lease = undefined
    message.availableAt = this.now + delaySeconds
    if (delaySeconds > 0) message.freshTimes++
    if (failure !== undefined) message.failures.push(failure)
    else if (message.attempts !== undefined) {
      message.attempts = { least: message.attempts.least - 1, most: message.attempts.most - 1 }
    }
  }

  removed(id: string): void {
    assert.ok(this.messages.delete(id))
  }

  /** Resolves with how many were leased. */
  releasedAll(): number {
    const held = [...this.messages.values()].filter(message => message.lease !== undefined && !this.isFree(message))
    for (const message of held) {
      message.freshTimes++
      const { availableAt: end, freshTimes } = message
      if (message.lease !== undefined) this.#endedByForce.set(message.lease, { end, freshTimes })
      message.lease = undefined
      message.availableAt = this.now
      if (message.attempts !== undefined) message.attempts.least -= 1
    }
    return held.length
  }

  purged(): void {
    this.messages.clear()
    this.quarantined = 0
    this.rezeroed()
  }

  rezeroed(): void {
    this.inserted = 0
    this.completed = 0
  }

  stateOf(message: ModelMessage): 'ready' | 'leased' | 'delayed' {
    if (this.isFree(message)) return 'ready'
    return message.lease === undefined ? 'delayed' : 'leased'
  }

  get counts() {
    const states = [...this.messages.values()].map(message => this.stateOf(message))
    return {
      enqueued: states.length,
      leased: states.filter(state => state === 'leased').length,
      delayed: states.filter(state => state === 'delayed').length,
      inserted: this.inserted,
      completed: this.completed,
      quarantined: this.quarantined,
    }
  }

  /** The message that the holder of `lease` has changed. */
  #changed(id: string, lease: object): ModelMessage {
    const message = this.messages.get(id)
    assert.ok(message !== undefined)
    if (message.lease !== lease) message.attempts = undefined
    return message
  }
}
