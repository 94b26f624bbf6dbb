/** Packs the tasks of a source: what comes out are messages with several tasks each. */
import type { Backend } from '../backend/backend.js'
import { asciiJson } from '../backend/envelope.js'
import { maxTasksOfMessage } from '../backend/pack-ids.js'
import { argumentError } from '../errors/errors.js'
import { messageOf } from '../errors/thrown.js'
import { Pack, packableText, packText } from '../tasks/pack.js'
import type { BareTask } from '../tasks/task.js'
import type { PulledSource } from '../tasks/task-source.js'
import { isPack, payloadText } from './payload-text.js'

/**
 * The most bytes of the payloads of a pack. With the envelope and the history that a release may add, that is within what SQS takes
 * (1 MiB), and small enough to be written again every few seconds.
 */
const maxPackBytes = 960 * 1024

/** After this time the packs made so far are handed over, to be sent before more are made. Milliseconds. */
const maxTakeMs = 5

/** @throws TypeError unless it is a number of tasks that a message can have */
export function checkPackSize(size: unknown): number | undefined {
  if (size === undefined || (Number.isInteger(size) && Number(size) >= 1 && Number(size) <= maxTasksOfMessage)) {
    return size as number | undefined
  }
  throw argumentError('pack', `an integer from 1 to ${maxTasksOfMessage}`, size)
}

/** The packs of a source. Which tasks are in which pack depends on the tasks alone, so that a resumed insert makes the same packs. */
export class PackSource implements PulledSource<BareTask> {
  readonly #tasks: PulledSource<BareTask>
  readonly #size: number
  readonly #ascii: boolean
  readonly #isResumed: boolean
  #texts: string[] = []
  #bytes = 0
  /** Packs that were not taken yet. */
  readonly #made: BareTask[] = []
  #given = 0
  #error: { readonly thrown: unknown; readonly failed: number } | undefined
  #stopped = false

  /**
   * @param options.size most tasks of a pack
   * @param options.isResumed where the source fails, the tasks of the pack that was being made are left out: a resumed insert would
   *   take that pack for the whole one. Default false
   */
  constructor(
    tasks: PulledSource<BareTask>,
    { size, backend, isResumed = false }: { size: number; backend: Backend; isResumed?: boolean },
  ) {
    this.#tasks = tasks
    this.#size = size
    this.#isResumed = isResumed
    this.#ascii = backend.capabilities.asciiBodies ?? false
  }

  get ended(): boolean {
    return this.#stopped || (this.#isComplete && this.#texts.length === 0 && this.#made.length === 0)
  }

  get error() {
    return this.#error ?? this.#tasks.error
  }

  take(max: number): BareTask[] {
    const until = performance.now() + maxTakeMs
    while (!this.#stopped && this.#made.length < max && !this.#isComplete) {
      if (!this.#pull() || (this.#made.length > 0 && performance.now() > until)) break
    }
    if (this.#isComplete && this.#texts.length > 0) {
      if (this.#isResumed && this.error !== undefined) this.#texts = []
      else this.#flush()
    }
    return this.#stopped ? [] : this.#made.splice(0, max)
  }

  ready(): Promise<void> {
    return this.#tasks.ready()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#tasks.stop()
  }

  /** No task will come. */
  get #isComplete(): boolean {
    return this.#error !== undefined || this.#tasks.ended
  }

  /** Pulls tasks for the pack that is being made; `false` where none is there now. */
  #pull(): boolean {
    const tasks = this.#tasks.take(this.#size - this.#texts.length)
    for (const task of tasks) {
      const text = this.#textOf(task)
      if (text === undefined) return true
      this.#given++
      const bytes = this.#bytesOf(text)
      const isAlone = isPack(task) || bytes > maxPackBytes
      if (isAlone || this.#bytes + bytes > maxPackBytes) this.#flush()
      if (isAlone) this.#made.push(task)
      else {
        this.#texts.push(text)
        this.#bytes += bytes
      }
    }
    if (this.#texts.length >= this.#size) this.#flush()
    return tasks.length > 0
  }

  #textOf(task: BareTask): string | undefined {
    try {
      return packableText(payloadText(task))
    } catch (cause) {
      const message = `Task ${this.#given} of this insert, from 0, can't be inserted: ${messageOf(cause)}`
      this.#error = { thrown: new TypeError(message, { cause }), failed: 1 }
      void this.#tasks.stop()
      return undefined
    }
  }

  #bytesOf(text: string): number {
    return (this.#ascii ? asciiJson(text).length : Buffer.byteLength(text)) + 2
  }

  #flush(): void {
    const texts = this.#texts
    const [first] = texts
    if (first === undefined) return
    this.#texts = []
    this.#bytes = 0
    const { length } = texts
    const text = length === 1 ? first : packText({ texts }, { indices: [{ start: 0, end: length }] })
    this.#made.push(new Pack(text, length))
  }
}
