/** The storage of the outcomes of a queue's tasks: with the queue itself, or with another one. */
import type { Backend } from '../backend/backend.js'
import type { ResultSink } from '../backend/result-sink.js'
import { argumentError, UnsupportedOperationError } from '../errors/errors.js'
import { OpenOnce } from './open-backend.js'
import type { QueueConnection } from './queue-connection.js'

export class ResultPlace {
  readonly #backend: Backend
  readonly #other: OpenOnce | undefined

  /** @param url of another queue. @throws TypeError where it is no URL of a queue */
  constructor(queue: QueueConnection, backend: Backend, url: string | undefined) {
    this.#backend = backend
    this.#other = url === undefined ? undefined : new OpenOnce(queue.otherUrl(url), queue.options)
  }

  /** `undefined` if the queue stores none, and no other was named. @throws TypeError if the named one stores none */
  async find(): Promise<ResultSink | undefined> {
    if (this.#other === undefined) return this.#backend.results
    const other = await this.#other.open()
    if (other.results !== undefined) return other.results
    throw argumentError('results', 'the URL of a queue that keeps results (fq://…)', this.#other.url)
  }

  /** As {@link find}. @throws UnsupportedOperationError where there is no place */
  async require(): Promise<ResultSink> {
    const sink = await this.find()
    if (sink !== undefined) return sink
    throw new UnsupportedOperationError(
      `${this.#backend.label} keeps no results: name a queue that does as \`results\`, here and for its workers (fq://…)`,
    )
  }

  async close(): Promise<void> {
    await this.#other?.close()
  }
}
