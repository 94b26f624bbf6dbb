// Queues, workers and events for the tests of `poll`, for each backend.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import {
  type BackendOptions,
  FunctionTask,
  type PollOptions,
  TaskQueue,
  type WorkerEventMap,
  type WorkerEvents,
} from 'ptq'
import type { ManualClock } from 'ptq/testing'
import type { Backend } from '#ptq/backend/backend.js'
import { pollSettings } from '#ptq/poll/poll-options.js'
import { Worker } from '#ptq/poll/worker.js'
import { WorkerEvents as Events } from '#ptq/poll/worker-events.js'
import { Leasing } from '#ptq/queue/leasing.js'
import { interfered } from '../fq/test-files.js'
import { openerOf } from './openers.js'
import type { Gate } from './tasks.js'

after(() => {
  for (const signal of ['SIGINT', 'SIGTERM'])
    assert.equal(process.listenerCount(signal), 0, `${signal} still has listeners`)
})

export type Kind = 'mem' | 'fq'

export class TestQueue {
  readonly kind: Kind
  readonly url: string
  /** A new folder. */
  readonly folder: string
  readonly #opened: { close(): Promise<void> }[] = []

  private constructor(kind: Kind, folder: string) {
    this.kind = kind
    this.folder = folder
    this.url = kind === 'fq' ? `fq://${folder}/queue` : `mem://${randomUUID()}`
  }

  static async make(kind: Kind): Promise<TestQueue> {
    return new TestQueue(kind, await mkdtemp(join(tmpdir(), 'ptq-poll-')))
  }

  /** Opens the queue, once more as another worker would. */
  open(url = this.url): TaskQueue {
    const tq = new TaskQueue(url, { progress: false })
    this.#opened.push(tq)
    return tq
  }

  /** A worker with the test's clock and random numbers. It starts at once. */
  async worker(
    options: PollOptions,
    environment: { clock: ManualClock; random: () => number; backend?: Backend },
  ): Promise<{ worker: Worker; events: WorkerEvents }> {
    const backend = environment.backend ?? (await this.backend())
    const events = new Events()
    const { clock, random } = environment
    const worker = new Worker({
      backend,
      leasing: new Leasing(40),
      events,
      settings: pollSettings({ parallel: 0, ...options }),
      openDeadLetters: () => Promise.resolve(undefined),
      clock,
      random,
      closing: new AbortController().signal,
    })
    return { worker, events }
  }

  async backend(options: BackendOptions = {}): Promise<Backend> {
    const [protocol = '', path = ''] = this.url.split('://')
    const backend = await openerOf(this.kind).open({ protocol, path }, options)
    this.#opened.push(backend)
    return backend
  }

  /** The backend by a clock of the test's own; the first to open a queue in memory. */
  clockedBackend(clock: ManualClock): Promise<Backend> {
    const hostNowMs = () => clock.dateMs()
    return this.backend(this.kind === 'mem' ? { clock } : { hostNowMs, fileSystem: interfered({ clockMs: hostNowMs }) })
  }

  async remove(): Promise<void> {
    for (const opened of this.#opened) await opened.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** A test for each backend, with a new queue, which is removed when the test passes. */
export function onEach(
  name: string,
  run: (queue: TestQueue) => Promise<void>,
  kinds: readonly Kind[] = ['mem', 'fq'],
): void {
  for (const kind of kinds) {
    it(`${name} (${kind})`, { timeout: 120_000 }, async () => {
      const queue = await TestQueue.make(kind)
      await run(queue)
      await queue.remove()
    })
  }
}

/** A task of tasks.ts, with the arguments that an inserter gives: a worker may add more. */
export function task(name: string, ...args: unknown[]): FunctionTask {
  return new FunctionTask(['tasks', name], args)
}

/** Resolves at the first event of this name that `when` agrees to. */
export function event<Name extends keyof WorkerEventMap>(
  events: WorkerEvents,
  name: Name,
  when: (event: WorkerEventMap[Name]) => boolean = () => true,
): Promise<WorkerEventMap[Name]> {
  return new Promise(resolve => {
    const listener = (happened: WorkerEventMap[Name]) => {
      if (!when(happened)) return
      events.off(name, listener)
      resolve(happened)
    }
    events.on(name, listener)
  })
}

/** Everything that happens, as `name id`, in order. */
export function recorded(events: WorkerEvents, ...names: (keyof WorkerEventMap)[]): string[] {
  const seen: string[] = []
  for (const name of names)
    events.on(name, happened => seen.push('task' in happened ? `${name} ${happened.task.id}` : name))
  return seen
}

export function newGate(): { gate: Gate; open(): void } {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  return {
    gate,
    open: () => {
      Atomics.store(gate, 0, 1)
      Atomics.notify(gate, 0)
    },
  }
}
