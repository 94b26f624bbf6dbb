/** Runs a chunk of tasks in this thread. */
import { runInContext } from '../src/context.js'
import { errorToWire } from '../src/error-wire.js'
import { callCode } from '../src/task.js'
import { type ChunkMessage, type ChunkReport, slot } from '../src/thread-messages.js'
import { ThreadLink } from './link.js'
import { type LoadedCode, loadCode, loadedCode } from './load-code.js'
import { watchMemory } from './memory.js'
import { RunningTask } from './running-task.js'

type Extras = ReadonlyMap<number, readonly unknown[]>
type Kwargs = ReadonlyMap<number, Readonly<Record<string, unknown>>>

const noExtra: readonly unknown[] = []

/**
 * Runs the tasks of a chunk that nobody withdraws before they begin. Rejects never: what a task throws is its own
 * outcome, posted as it happens.
 */
export async function runChunk(chunk: ChunkMessage): Promise<ChunkReport> {
  const link = ThreadLink.current
  link.post({ type: 'began', chunk: chunk.chunk })
  const codes = loadedCode(chunk.codes) ?? (await loadCode(chunk.codes))
  const runner = new ChunkRunner(chunk, codes, link)
  const memory = chunk.maxMemoryMb === undefined ? undefined : watchMemory(chunk.maxMemoryMb, runner, link)
  const startMs = performance.now()
  try {
    if (chunk.concurrency === 1) await runner.drain()
    else await Promise.all(Array.from({ length: chunk.concurrency }, () => runner.drain()))
  } finally {
    memory?.stop()
  }
  const elapsedMs = performance.now() - startMs
  await link.callsDone()
  // What a task printed is on its way through the main thread; it must not be lost if the process ends with the run.
  await Promise.all([drained(process.stdout), drained(process.stderr)])
  return { elapsedMs, ran: runner.ran }
}

export class ChunkRunner {
  readonly #chunk: ChunkMessage
  readonly #codes: readonly LoadedCode[]
  readonly #link: ThreadLink
  readonly #kwargs: Kwargs
  readonly #extras: Extras
  #next = 0
  ran = 0
  /** The tasks that run now. */
  readonly running = new Set<RunningTask>()

  constructor(chunk: ChunkMessage, codes: readonly LoadedCode[], link: ThreadLink) {
    this.#chunk = chunk
    this.#codes = codes
    this.#link = link
    this.#kwargs = new Map(chunk.kwargs)
    this.#extras = new Map(chunk.extras)
  }

  /** Runs tasks one after the other until none is left; several of these share the chunk. */
  async drain(): Promise<void> {
    const { slots, startedAtMs, postAll } = this.#chunk
    for (let index = this.#next++; index < slots.length; index = this.#next++) {
      if (Atomics.compareExchange(slots, index, slot.waiting, slot.running) !== slot.waiting) continue
      if (startedAtMs !== undefined) startedAtMs[index] = performance.timeOrigin + performance.now()
      const startMs = postAll ? performance.now() : 0
      const task = new RunningTask(this.#chunk, index, this.#link)
      this.running.add(task)
      this.#link.begin(task)
      try {
        let value = runInContext(task, () => this.#call(index))
        if (isThenable(value)) value = await this.#settled(task, value)
        this.#succeed(index, value, startMs)
      } catch (thrown) {
        this.#fail(index, thrown, startMs)
      } finally {
        task.ended = true
        this.running.delete(task)
        this.#link.end(task)
        this.ran++
      }
    }
  }

  #call(index: number): unknown {
    const { calls } = this.#chunk
    const loaded = this.#codes[calls[2 * index] as number]
    if (loaded === undefined || 'error' in loaded)
      throw loaded?.error ?? new Error(`Expected the code of task ${index} in the chunk`)
    return callCode(
      loaded.code,
      calls[2 * index + 1] as readonly unknown[] | Record<string, unknown>,
      this.#kwargs.get(index),
      this.#extras.get(index) ?? noExtra,
    )
  }

  /** The task's promise, or what broke out of it meanwhile. */
  #settled(task: RunningTask, value: PromiseLike<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      task.fail = reject
      value.then(resolve, reject)
    })
  }

  #succeed(index: number, value: unknown, startMs: number): void {
    const { chunk, slots, postAll } = this.#chunk
    if (postAll) {
      const elapsedMs = performance.now() - startMs
      try {
        this.#link.post({ type: 'succeeded', chunk, index, value, elapsedMs })
      } catch (cause) {
        throw new Error('Expected the task to return a value that can be cloned to another thread', { cause })
      }
    }
    Atomics.store(slots, index, slot.succeeded)
  }

  #fail(index: number, thrown: unknown, startMs: number): void {
    const { chunk, slots, postAll } = this.#chunk
    const elapsedMs = postAll ? performance.now() - startMs : Number.NaN
    this.#link.post({ type: 'failed', chunk, index, error: errorToWire(thrown), elapsedMs })
    Atomics.store(slots, index, slot.failed)
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

function drained(stream: NodeJS.WriteStream): Promise<void> | undefined {
  return stream.writableLength > 0 ? new Promise(resolve => stream.write('', () => resolve())) : undefined
}
