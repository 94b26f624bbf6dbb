/** Connections to the server: a pool of the package pg, loaded when the first queue is opened, or the caller's own. */

import type { Client, Pool, PoolClient } from 'pg'
import type { QueueUrl } from '../../backend/backend.js'
import { loadOptionalPackage } from '../../backend/optional-package.js'
import { ServerRetries } from '../../backend/server-retries.js'
import { type ServerUrl, withPassword } from '../../backend/server-url.js'
import { isError } from '../../errors/thrown.js'
import { faultOf, serverError } from './faults.js'
import type { CheckedOptions } from './options.js'

/** The most connections of a queue, beside the one that listens: four are as fast as more. */
const maxConnections = 4

/** Time-out of opening a connection. */
const connectionTimeoutMs = 5_000

/** Time-out of a statement. Each touches a bounded number of rows; a server that is silent for longer is taken for gone. */
const statementTimeoutMs = 30_000

/** An idle connection is given back to the server after this time. */
const idleTimeoutMs = 10_000

/** Own connections are closed by force after this time. */
const closeTimeoutMs = 5_000

/** A row: the values as text, in the order of the query. */
export type Row = readonly (string | null)[]

/** Runs one statement. */
export type Query = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>

/** The argument of `query` of the package pg. */
interface QueryArgument {
  readonly text: string
  readonly values: readonly unknown[]
  readonly rowMode: 'array'
  readonly types: { getTypeParser(): (value: string) => string }
  readonly query_timeout: number
}

interface Queryable {
  query(query: QueryArgument): Promise<{ readonly rows: readonly Row[] }>
}

/** Types as the caller has set them up for the whole package would change what comes. */
const asText = { getTypeParser: () => (value: string) => value }

/** The connections of one queue. */
export class Connection {
  /** The queue, as messages name it. */
  readonly label: string
  /** True where everything runs in a transaction of the caller's. */
  readonly isCallers: boolean
  /** The number of statements that are worth running at once. */
  readonly width: number
  readonly #closing = new AbortController()
  readonly #queryable: Queryable
  readonly #pool: Pool | undefined
  readonly #isOwnPool: boolean
  readonly #newClient: (() => Client) | undefined
  readonly #retries: ServerRetries

  private constructor(
    label: string,
    parts: { queryable: Queryable; pool: Pool | undefined; newClient: (() => Client) | undefined; width: number },
    retrySeconds: number,
  ) {
    this.label = label
    this.isCallers = parts.pool === undefined
    this.width = parts.width
    this.#queryable = parts.queryable
    this.#pool = parts.pool
    this.#newClient = parts.newClient
    this.#isOwnPool = parts.newClient !== undefined
    this.#retries = new ServerRetries(faultOf, this.isCallers ? 0 : retrySeconds, this.#closing.signal)
  }

  /** Loads the package and makes the pool. Nothing is sent. */
  static async make(
    label: string,
    url: QueueUrl,
    { queue }: ServerUrl,
    { concurrency, pool, client, retrySeconds }: CheckedOptions,
  ): Promise<Connection> {
    if (client !== undefined) {
      const queryable = client as unknown as Queryable
      return new Connection(label, { queryable, pool: undefined, newClient: undefined, width: 1 }, retrySeconds)
    }
    if (pool !== undefined) {
      const given = pool as unknown as Pool & Queryable
      const width = Math.min(concurrency, given.options?.max ?? maxConnections)
      return new Connection(label, { queryable: given, pool: given, newClient: undefined, width }, retrySeconds)
    }
    const pg = (await loadOptionalPackage('pg', 'postgres://', () => import('pg'))).default
    const settings = {
      connectionString: connectionString(url),
      connectionTimeoutMillis: connectionTimeoutMs,
      keepAlive: true,
      fallback_application_name: `ptq ${queue}`,
    }
    const width = Math.min(concurrency, maxConnections)
    const own = new pg.Pool({ ...settings, max: width, idleTimeoutMillis: idleTimeoutMs })
    // An idle connection that ends is replaced by the next query; without a listener it would end the process.
    own.on('error', () => undefined)
    const parts = { queryable: own as unknown as Queryable, pool: own, newClient: () => new pg.Client(settings), width }
    return new Connection(label, parts, retrySeconds)
  }

  /** Aborted by `close`. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /**
   * Runs statements, again where the server did not answer or was too busy.
   *
   * @param doing what is tried, for errors: `insert into`
   * @param work gets true where an earlier try of it may have been carried out
   */
  async run<T>(doing: string, work: (query: Query, mayBeDone: boolean) => Promise<T>): Promise<T> {
    try {
      return await this.#retries.run(mayBeDone => work(this.#query, mayBeDone))
    } catch (error) {
      if (this.#isOurs(error)) throw error
      throw serverError(error, doing, this.label)
    }
  }

  /** {@link run} in a transaction of its own; on the caller's connection, in the caller's. */
  async transaction<T>(doing: string, work: (query: Query, mayBeDone: boolean) => Promise<T>): Promise<T> {
    const pool = this.#pool
    if (pool === undefined) return this.run(doing, work)
    return this.run(doing, async (_, mayBeDone) => {
      const client = await pool.connect()
      // Without a listener, a connection that ends between two statements would end the process.
      const ignore = () => undefined
      client.on('error', ignore)
      const query = queryOf(client as unknown as Queryable)
      let failed = true
      try {
        await query('BEGIN ISOLATION LEVEL READ COMMITTED')
        const result = await work(query, mayBeDone)
        await query('COMMIT')
        failed = false
        return result
      } finally {
        client.off('error', ignore)
        // A connection in an unknown state is closed, which rolls back.
        client.release(failed)
      }
    })
  }

  /**
   * A connection of its own for LISTEN, connected; `undefined` if none is available: then the caller polls.
   *
   * @param onEnd called once when it ends by itself
   */
  async listener(
    onNotification: () => void,
    onEnd: () => void,
  ): Promise<{ query: Query; close: () => void } | undefined> {
    const pool = this.#pool
    if (pool === undefined) return undefined
    if (this.#newClient === undefined) {
      const { max = 10 } = pool.options ?? {}
      if (max < 2 || (pool.totalCount >= max && pool.idleCount === 0)) return undefined
    }
    const own = this.#newClient?.()
    const lent = own === undefined ? await pool.connect() : undefined
    const client: Client | PoolClient | undefined = own ?? lent
    if (client === undefined) return undefined
    let isOver = false
    const end = () => {
      if (isOver) return
      isOver = true
      onEnd()
    }
    client.on('error', end)
    client.on('end', end)
    client.on('notification', onNotification)
    const close = () => {
      isOver = true
      client.off('notification', onNotification)
      // Closed, and not given back to the pool: it would continue listening.
      lent?.release(true)
      void own?.end().catch(() => undefined)
    }
    try {
      await own?.connect()
    } catch (error) {
      close()
      throw error
    }
    return { query: queryOf(client as unknown as Queryable), close }
  }

  /** Ends retries and waits. */
  stop(): void {
    this.#closing.abort()
  }

  /** Closes our own connections. */
  async close(): Promise<void> {
    this.stop()
    if (!this.#isOwnPool || this.#pool === undefined || this.#pool.ending) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, closeTimeoutMs)
    })
    await Promise.race([this.#pool.end(), late])
    clearTimeout(timer)
  }

  readonly #query: Query = (text, values) => queryOf(this.#queryable)(text, values)

  /** An error with a complete message of its own. */
  #isOurs(error: unknown): boolean {
    return isError(error) && ownErrors.has(error)
  }
}

const ownErrors = new WeakSet<Error>()

/** Marks an error that is thrown within `run`, and that needs no further explanation. */
export function ownError<E extends Error>(error: E): E {
  ownErrors.add(error)
  return error
}

function queryOf(queryable: Queryable): Query {
  return async (text, values = []) => {
    const query = {
      text,
      values,
      rowMode: 'array',
      types: asText,
      query_timeout: statementTimeoutMs,
    } as const
    const { rows } = await queryable.query(query)
    return rows
  }
}

/** The URL for the package pg, which must not see the queue's name: it would pass it on to the server. */
function connectionString(url: QueueUrl): string {
  const [base = '', query = ''] = withPassword(url).split('?')
  const parameters = query.split('&').filter(part => part !== '' && !/^queue(?:=|$)/.test(part))
  // The package would verify as with `verify-full`, and warn that it won't in its next version; `psql` does not.
  const isWeaker = parameters.some(part => /^sslmode=(?:prefer|require|verify-ca)$/.test(part))
  const saysWhich = parameters.some(part => part.startsWith('uselibpqcompat='))
  if (isWeaker && !saysWhich) parameters.push('uselibpqcompat=true')
  return `postgres://${base}${parameters.length > 0 ? `?${parameters.join('&')}` : ''}`
}
