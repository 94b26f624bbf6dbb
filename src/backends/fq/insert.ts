/** Inserting: the whole file is written under `staging/` and renamed into `queue/`, so a listed task is always complete. */
import { randomUUID } from 'node:crypto'
import type { BatchFailure, Message } from '../../backend/messages.js'
import { argumentError } from '../../errors/errors.js'
import { type Awaitable, isPromise } from './awaitable.js'
import { errorCode } from './file-system.js'
import { removeTree } from './folders.js'
import { inside, makeQueue } from './layout.js'
import { isId, nameOf } from './names.js'
import { type FileQueue, queueFault } from './queue.js'

// A staging file of that age belongs to a dead process: inserts take milliseconds. Hours, because a machine may sleep.
const staleSeconds = 6 * 3600

// A disk that is full, or a user's share of it.
const fullCodes = ['ENOSPC', 'EDQUOT']

export class Inserter {
  readonly #queue: FileQueue
  // Two processes that insert one id at once must not write into one staging file.
  readonly #mark = randomUUID().slice(0, 8)
  #made: Promise<void> | undefined

  constructor(queue: FileQueue) {
    this.#queue = queue
  }

  /** Makes the queue's folders, once. */
  make(): Promise<void> {
    this.#made ??= this.#make().catch((error: unknown) => {
      this.#made = undefined
      throw queueFault(this.#queue, 'Making the queue', error)
    })
    return this.#made
  }

  async insert(messages: readonly Message[], { delaySeconds }: { delaySeconds: number }): Promise<BatchFailure[]> {
    for (const { id } of messages) {
      if (!isId(id)) throw argumentError('message.id', 'a UUID in lower case', id)
    }
    if (messages.length === 0) return []
    await this.make()
    if (!(await this.#queue.clock.ready())) await this.#makeAgain()

    const failures: BatchFailure[] = []
    const { io, layout } = this.#queue
    const failed = (index: number, { id }: Message, error: unknown): void => {
      failures.push({ index, error: queueFault(this.#queue, `Inserting task ${id}`, error) })
    }
    await io.each(messages, (message, index) => {
      try {
        const stored = this.#store(message, delaySeconds)
        return isPromise(stored) ? stored.catch((error: unknown) => failed(index, message, error)) : stored
      } catch (error) {
        return failed(index, message, error)
      }
    })
    const [first] = failures
    if (first !== undefined && failures.length === messages.length) throw first.error
    await io.sync(layout.queue)
    if (delaySeconds > 0) await io.sync(layout.movement)
    return failures.sort((a, b) => a.index - b.index)
  }

  #store(message: Message, delaySeconds: number): Awaitable<void> {
    let stored: Awaitable<boolean>
    try {
      stored = this.#tryToStore(message, delaySeconds)
    } catch (error) {
      stored = folderGone(error)
    }
    if (stored === true) return undefined
    return stored === false ? this.#storeAgain(message, delaySeconds) : this.#storeLater(message, delaySeconds, stored)
  }

  async #storeLater(message: Message, delaySeconds: number, stored: Promise<boolean>): Promise<void> {
    if (!(await stored.catch(folderGone))) await this.#storeAgain(message, delaySeconds)
  }

  /** The queue was removed (`rm -r`) while it was open: this insert makes it again. */
  async #storeAgain(message: Message, delaySeconds: number): Promise<void> {
    await this.#makeAgain()
    if (!(await this.#tryToStore(message, delaySeconds))) {
      throw new Error(`${this.#queue.layout.queue} was removed while a task was inserted`)
    }
  }

  /** `false`: a folder of the queue is gone. */
  #tryToStore(message: Message, delaySeconds: number): Awaitable<boolean> {
    const { id, body } = message
    const { layout, clock } = this.#queue
    const available = delaySeconds === 0 ? 0 : Math.ceil(clock.nowSeconds + delaySeconds)
    const name = nameOf(available, id)
    const staged = inside(layout.staging, `${id}.${this.#mark}`)
    const path = inside(layout.queue, name)
    if (available === 0) return this.#stage(staged, body, path)
    // The record first: a process that sees the task's name then knows that it is a delay and no lease.
    return this.#storeDelayed(message, name, staged, path)
  }

  async #storeDelayed({ id, body }: Message, name: string, staged: string, path: string): Promise<boolean> {
    const { history } = this.#queue
    try {
      await history.begunLater(id, name)
      return await this.#stage(staged, body, path)
    } catch (error) {
      // It is known that there is no such task only where nothing could be written: without its record it would be taken for leased.
      if (fullCodes.includes(errorCode(error) ?? '')) await history.notBegun(id)
      throw error
    }
  }

  #stage(staged: string, body: string, path: string): Awaitable<boolean> {
    const { io } = this.#queue
    try {
      const written = io.write(staged, body, 'w')
      if (isPromise(written)) return this.#renameLater(written, staged, path)
      const renamed = io.calls.rename(staged, path)
      return isPromise(renamed) ? renamed.catch((error: unknown) => this.#discard(staged, error)) : renamed
    } catch (error) {
      return this.#discard(staged, error)
    }
  }

  async #renameLater(written: Promise<void>, staged: string, path: string): Promise<boolean> {
    try {
      await written
      return await this.#queue.io.calls.rename(staged, path)
    } catch (error) {
      return this.#discard(staged, error)
    }
  }

  async #discard(staged: string, error: unknown): Promise<never> {
    await this.#queue.io.calls.unlink(staged, 'absent')
    throw error
  }

  #makeAgain(): Promise<void> {
    this.#made = undefined
    return this.make()
  }

  async #make(): Promise<void> {
    const { io, layout, clock } = this.#queue
    await makeQueue(io, layout)
    await io.sync(layout.root)
    if (await clock.ready()) await this.#sweep()
  }

  /** Removes what dead processes left under `staging/`: one check per process, of the first names only. */
  async #sweep(): Promise<void> {
    const { io, layout, clock } = this.#queue
    const folder = await io.calls.openFolder(layout.staging)
    const names = (await folder?.read()) ?? []
    await folder?.close()
    await io.each(names, async name => {
      const path = inside(layout.staging, name)
      const facts = await io.calls.stat(path)
      const isStale = facts !== undefined && clock.nowSeconds - facts.modifiedMs / 1000 > staleSeconds
      // A folder is a lock or an upload that was not begun: its creator is dead.
      if (isStale) await removeTree(this.#queue, path)
    })
  }
}

/** `false` where a folder is gone; throws any other error. */
function folderGone(error: unknown): false {
  if (errorCode(error) !== 'ENOENT') throw error
  return false
}
