/** The queue where a worker puts tasks that failed too often. */
import type { Backend, BackendOptions, QueueUrl } from '../backend.js'
import { OpenOnce } from '../open-backend.js'
import { formatQueueUrl, parseQueueUrl } from '../queue-url.js'
import type { DeadLetters } from './worker-parts.js'

/** Where a queue's dead letters go by default; `undefined`: it has no place for them. */
export function defaultDeadLetter(backend: Backend): QueueUrl | undefined {
  return backend.deadLetterUrl === undefined ? undefined : parseQueueUrl(backend.deadLetterUrl, { cwd: '/', home: '/' })
}

/** Opened by the first dead letter: most workers never have one. */
export class DeadLetterQueue {
  readonly #url: string | undefined
  readonly #backend: OpenOnce | undefined

  /** @param options those of the queue itself: region, endpoint, durability, … */
  constructor(url: QueueUrl | undefined, options: BackendOptions) {
    if (url === undefined) return
    this.#url = formatQueueUrl(url)
    this.#backend = new OpenOnce(url, options)
  }

  /** The queue; `undefined` if there is none. */
  async open(): Promise<DeadLetters | undefined> {
    if (this.#backend === undefined || this.#url === undefined) return undefined
    return { url: this.#url, backend: await this.#backend.open() }
  }

  async close(): Promise<void> {
    await this.#backend?.close(() => Promise.resolve())
  }
}
