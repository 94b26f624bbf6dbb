/** Plays a sequence of steps on a backend and on the model, and compares them after each. */
import assert from 'node:assert/strict'
import { LeaseLostError } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import type { BatchFailure, Lease } from '#ptq/backend/messages.js'
import { QueueModel } from './queue-model.js'
import type { Step } from './steps.js'

/** The backend under test. */
export interface Subject {
  /** Opens the queue once more, as another process would. */
  open(): Promise<Backend>
  /** Lets time pass. */
  pass(seconds: number): void | Promise<void>
  /** Asserts that nothing is left once every message is gone. */
  requireClean?(): void
}

interface Holder {
  backend: Backend
  /** All that it ever leased since it was opened. */
  leases: { readonly lease: Lease; readonly seconds: number }[]
}

const HOUR = 3600

export class Comparison {
  readonly #subject: Subject
  readonly #model = new QueueModel()
  readonly #holders = new Map<number, Holder>()
  #made = 0
  /** There is no queue before the first insert. */
  #isThere = false

  constructor(subject: Subject) {
    this.#subject = subject
  }

  /** Plays the steps, then drains the queue and closes it. */
  async play(steps: readonly Step[]): Promise<void> {
    try {
      for (const step of steps) {
        await this.#play(step)
        if (this.#isThere) await this.#compareCounts()
      }
      await this.#drain()
    } finally {
      for (const { backend } of this.#holders.values()) await backend.close()
    }
  }

  async #holder(index: number): Promise<Holder> {
    const holder = this.#holders.get(index) ?? { backend: await this.#subject.open(), leases: [] }
    this.#holders.set(index, holder)
    return holder
  }

  async #play(step: Step): Promise<void> {
    const model = this.#model
    if (step.verb === 'pass') {
      await this.#subject.pass(step.seconds)
      model.now += step.seconds
      return
    }
    const holder = await this.#holder(step.holder)
    const { backend } = holder
    if (!this.#isThere && step.verb !== 'insert') return
    switch (step.verb) {
      case 'insert':
        return this.#insert(backend, step)
      case 'lease':
        return this.#lease(holder, step)
      case 'renew':
        return this.#change(holder, step.pick, {
          call: lease => backend.renew([lease], step.seconds),
          done: (id, lease) => model.renewed(id, lease, step.seconds),
        })
      case 'release':
        return this.#change(holder, step.pick, {
          call: lease => backend.release([lease], { delaySeconds: step.delaySeconds }),
          done: (id, lease) => model.released(id, lease, step.delaySeconds, undefined),
        })
      case 'fail': {
        const reason = `Error: broken for the ${this.#made++}th time`
        const failure = { attempt: 1, reason, host: 'here', pid: 1, failedAtMs: 0, durationSeconds: 0 }
        return this.#change(holder, step.pick, {
          call: lease => backend.release([lease], { delaySeconds: step.delaySeconds, failure }),
          done: (id, lease) => model.released(id, lease, step.delaySeconds, reason),
        })
      }
      case 'delete':
        return this.#change(holder, step.pick, {
          call: lease => backend.delete([lease], { tally: step.tally }),
          done: id => {
            model.removed(id)
            if (step.tally) model.completed += 1
          },
        })
      case 'quarantine':
        return this.#change(holder, step.pick, {
          call: lease => quarantine(backend, lease),
          done: id => {
            model.removed(id)
            model.quarantined += 1
          },
        })
      case 'crash':
        // Its messages stay leased until the leases expire; it releases nothing.
        await backend.close()
        this.#holders.delete(step.holder)
        return
      case 'releaseAll':
        assert.equal(await backend.releaseAll?.(), model.releasedAll())
        return
      case 'rezero':
        await backend.rezero?.()
        return model.rezeroed()
      case 'purge':
        await backend.purge({ native: false })
        return model.purged()
      case 'look':
        return this.#look(backend)
    }
  }

  async #insert(backend: Backend, { count, delaySeconds }: Step & { verb: 'insert' }): Promise<void> {
    const messages = Array.from({ length: count }, () => {
      const id = `00000000-0000-4000-8000-${String(this.#made++).padStart(12, '0')}`
      return { id, body: `body of ${id}` }
    })
    assert.deepEqual(await backend.insert(messages, { delaySeconds }), [])
    await backend.addInserted?.(count)
    for (const { id } of messages) this.#model.insert(id, delaySeconds)
    this.#model.inserted += count
    this.#isThere = true
  }

  async #lease(holder: Holder, { max, seconds }: Step & { verb: 'lease' }): Promise<void> {
    const free = this.#model.free.length
    const leases = await holder.backend.lease({ seconds, max, waitSeconds: 0 })
    assert.equal(leases.length, Math.min(max, free), 'all that is free can be leased')
    for (const lease of leases) {
      assert.equal(lease.body, `body of ${lease.id}`)
      this.#model.leased(lease.id, lease.attempt, lease, seconds)
      holder.leases.push({ lease, seconds })
    }
  }

  /** Changes one of the leases that a holder ever had. */
  async #change(
    holder: Holder,
    pick: number,
    change: { call(lease: Lease): Promise<readonly BatchFailure[]>; done(id: string, lease: Lease): void },
  ): Promise<void> {
    const { lease } = holder.leases.at(-1 - (pick % Math.max(1, holder.leases.length))) ?? {}
    if (lease === undefined) return
    const expected = this.#model.expected(lease.id, lease)
    const [failure] = await change.call(lease)
    if (failure === undefined) {
      assert.notEqual(expected, 'lost', `a lease of ${lease.id} that is over was still good`)
      change.done(lease.id, lease)
      return
    }
    assert.ok(failure.error instanceof LeaseLostError, failure.error.message)
    assert.notEqual(expected, 'done', `a lease of ${lease.id} that is good was told lost`)
  }

  async #look(backend: Backend): Promise<void> {
    const model = this.#model
    const listed = new Map<string, string>()
    for await (const { id, body, state } of backend.list?.() ?? []) {
      assert.equal(body, `body of ${id}`)
      listed.set(id, state)
    }
    const expected = [...model.messages.values()].map((message): [string, string] => [
      message.id,
      model.stateOf(message),
    ])
    assert.deepEqual(listed, new Map(expected))
    for (const { id, failures } of model.messages.values()) {
      const reasons = (await backend.failures?.({ id }))?.map(({ reason }) => reason)
      assert.deepEqual(reasons, failures)
    }
  }

  async #compareCounts(): Promise<void> {
    const { backend } = await this.#holder(0)
    const { foreign = 0, ...counts } = await backend.counts()
    assert.equal(foreign, 0)
    assert.deepEqual(counts, this.#model.counts)
  }

  /** Once all leases have expired, every message can be leased and deleted, and nothing is left of it. */
  async #drain(): Promise<void> {
    if (!this.#isThere) return
    await this.#play({ verb: 'pass', seconds: HOUR })
    const holder = await this.#holder(0)
    await this.#lease(holder, { verb: 'lease', holder: 0, max: 1000, seconds: 50 })
    const mine = holder.leases.map(({ lease }) => lease).filter(({ id }) => this.#model.messages.has(id))
    const current = mine.filter(lease => this.#model.expected(lease.id, lease) === 'done')
    assert.deepEqual(await holder.backend.delete(current, { tally: true }), [])
    for (const { id } of current) this.#model.removed(id)
    this.#model.completed += current.length
    await this.#compareCounts()
    assert.equal(this.#model.messages.size, 0)
    this.#subject.requireClean?.()
  }
}

async function quarantine(backend: Backend, lease: Lease): Promise<BatchFailure[]> {
  try {
    await backend.quarantine?.(lease, 'it is no task')
    return []
  } catch (error) {
    if (error instanceof LeaseLostError) return [{ index: 0, error }]
    throw error
  }
}
