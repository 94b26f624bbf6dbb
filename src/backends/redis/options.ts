/** The options of a Redis queue. */
import type { BackendOptions } from '../../backend/backend.js'
import { argumentError } from '../../errors/errors.js'

/** The server keeps the reply of a call for longer than this. */
export const longestRetrySeconds = 3_600

/** The part of an `ioredis` client that is used: a `Redis`, or a `Cluster`. */
export interface RedisClient {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  duplicate(): RedisClient
  disconnect(): void
  on(event: 'error', listener: (error: unknown) => void): unknown
}

/** Options of a `redis://`, `rediss://` or `valkey://` queue. */
export interface RedisOptions extends BackendOptions {
  /**
   * A client of `ioredis`, used for everything and never closed; the server in the URL is not used. Workers that wait
   * for tasks open one more connection, by its `duplicate()`.
   */
  readonly client?: RedisClient
  /** Number of seconds for which a call is tried again while the server is unreachable or not ready: up to 3600. Default 60. */
  readonly retrySeconds?: number
}

/** The options, checked and with their defaults. */
export interface CheckedOptions {
  readonly client: RedisClient | undefined
  readonly retrySeconds: number
}

/** @throws TypeError where an option isn't what it has to be */
export function checkOptions({ client, retrySeconds = 60 }: RedisOptions): CheckedOptions {
  if (client !== undefined && !isClient(client)) throw argumentError('client', 'a client of ioredis', client)
  if (!(retrySeconds >= 0 && retrySeconds <= longestRetrySeconds)) {
    throw argumentError('retrySeconds', `a number of seconds from 0 to ${longestRetrySeconds}`, retrySeconds)
  }
  return { client, retrySeconds }
}

function isClient(client: unknown): client is RedisClient {
  if (typeof client !== 'object' || client === null) return false
  const { call, duplicate, on } = client as Partial<Record<keyof RedisClient, unknown>>
  return [call, duplicate, on].every(method => typeof method === 'function')
}
