/** The options of a `postgres://` queue. */
import type { BackendOptions } from '../../backend/backend.js'
import { argumentError } from '../../errors/errors.js'

/** The part of a `pg.Client` that is used; a client of a `pg.Pool` fits too. */
export interface PostgresClient {
  query(query: never): Promise<{ readonly rows: readonly unknown[] }>
}

/** The part of a `pg.Pool` that is used. */
export interface PostgresPool extends PostgresClient {
  connect(): Promise<PostgresClient & { release(error?: Error | boolean): void }>
}

/** Options of a `postgres://` queue. */
export interface PostgresOptions extends BackendOptions {
  /**
   * A pool of the package `pg`, used unchanged and never closed; the URL then only names the queue. Default: a pool of
   * at most 4 connections of its own.
   */
  readonly pool?: PostgresPool
  /**
   * A connection with an open transaction: tasks are inserted when it commits, together with the rows that belong to
   * them. Everything else runs on it too, so use another TaskQueue for that.
   */
  readonly client?: PostgresClient
  /**
   * Number of seconds for which a call is tried again while the server, once it has answered, restarts, is unreachable
   * or has no free connection. Default 60; calls on `client` are tried once.
   */
  readonly retrySeconds?: number
}

/** The options, checked and with their defaults. */
export interface CheckedOptions {
  readonly concurrency: number
  readonly pool: PostgresPool | undefined
  readonly client: PostgresClient | undefined
  readonly retrySeconds: number
}

/** @throws TypeError where an option isn't what it has to be */
export function checkOptions({ concurrency = 40, pool, client, retrySeconds = 60 }: PostgresOptions): CheckedOptions {
  if (pool !== undefined && !(hasMethod(pool, 'query') && hasMethod(pool, 'connect'))) {
    throw argumentError('pool', 'a Pool of the package pg', pool)
  }
  if (client !== undefined && !hasMethod(client, 'query')) {
    throw argumentError('client', 'a connected Client of the package pg', client)
  }
  if (client !== undefined && pool !== undefined) {
    throw argumentError('client', 'left out where `pool` is given: a transaction is of one connection', client)
  }
  if (client !== undefined && 'totalCount' in client) {
    throw argumentError('client', 'one connection (`await pool.connect()`), and not a pool of them', client)
  }
  if (typeof retrySeconds !== 'number' || !Number.isFinite(retrySeconds) || retrySeconds < 0) {
    throw argumentError('retrySeconds', 'a number of seconds of 0 or more', retrySeconds)
  }
  return { concurrency, pool, client, retrySeconds }
}

function hasMethod(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function'
}
