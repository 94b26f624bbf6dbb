/** Lists of tasks, some at a time: a list goes on where it was, so that a queue of a million tasks is read in parts. */
import { randomUUID } from 'node:crypto'
import type { ListedTask } from '../index.js'
import { RequestError } from './answers.js'
import type { Sampler } from './sampler.js'

const rowsAPage = 50

/** A request ends after so long, also with fewer rows: those of a rare state may lie anywhere. Milliseconds. */
const maxMs = 1_000

/** Lists that are open at once, each with some megabytes for a million tasks; the one that was used longest ago is closed. */
const maxLists = 8

/** One that isn't read on for so long is closed. Milliseconds. */
const idleMs = 120_000

/** States that a list may have. */
export const listStates = ['ready', 'leased', 'delayed', 'failed'] as const
export type ListState = (typeof listStates)[number]

interface OpenList {
  readonly tasks: AsyncIterator<ListedTask>
  readonly state: ListState
  looked: number
  idle: NodeJS.Timeout | undefined
}

/** Some rows of a list. */
export interface TaskPage {
  readonly tasks: readonly ListedTask[]
  /** Tasks that were looked at so far, of all states. */
  readonly looked: number
  /** To read on; `undefined` at the end. */
  readonly list: string | undefined
}

export class TaskLists {
  readonly #sampler: Sampler
  readonly #lists = new Map<string, OpenList>()

  constructor(sampler: Sampler) {
    this.#sampler = sampler
  }

  /** The first tasks of a state. */
  open(state: ListState): Promise<TaskPage> {
    const { queue, place } = this.#sampler
    const tasks = state === 'failed' ? queue.failures(place) : queue.tasks()
    return this.#readOn(randomUUID(), { tasks, state, looked: 0, idle: undefined })
  }

  /** The next tasks of a list. @throws RequestError where it was closed */
  more(id: string): Promise<TaskPage> {
    const list = this.#lists.get(id)
    if (list === undefined) throw new RequestError(410, 'This list was closed: start it again')
    this.#lists.delete(id)
    return this.#readOn(id, list)
  }

  /** Closes all lists. */
  async close(): Promise<void> {
    for (const id of [...this.#lists.keys()]) await this.#close(id)
  }

  async #readOn(id: string, list: OpenList): Promise<TaskPage> {
    clearTimeout(list.idle)
    const endMs = performance.now() + maxMs
    const found: ListedTask[] = []
    while (found.length < rowsAPage && performance.now() < endMs) {
      const { done, value } = await list.tasks.next()
      if (done) return { tasks: found, looked: list.looked, list: undefined }
      list.looked++
      if (list.state === 'failed' || value.state === list.state) found.push(value)
    }
    this.#lists.set(id, list)
    list.idle = setTimeout(() => void this.#close(id), idleMs)
    list.idle.unref()
    const [oldest] = this.#lists.keys()
    if (this.#lists.size > maxLists && oldest !== undefined) void this.#close(oldest)
    return { tasks: found, looked: list.looked, list: id }
  }

  async #close(id: string): Promise<void> {
    const list = this.#lists.get(id)
    this.#lists.delete(id)
    clearTimeout(list?.idle)
    await list?.tasks.return?.()
  }
}
