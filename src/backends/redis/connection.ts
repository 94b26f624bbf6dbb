/** Connections to a Redis server: commands with retries, and one more for blocking. */

import { randomInt } from 'node:crypto'
import { loadOptionalPackage } from '../../backend/optional-package.js'
import { isError } from '../../errors/thrown.js'
import { elapsedMs } from '../../time/clock.js'
import { sleep } from '../../time/sleep.js'
import { faultKind, openError, requestError, serverMessageOf } from './faults.js'
import type { CheckedOptions, RedisClient } from './options.js'
import type { RedisPlace } from './place.js'
import type { Script } from './script.js'

/** Time-out of opening a connection. */
const connectionTimeoutMs = 5_000

/** Time-out of a silent server. */
const silenceTimeoutMs = 15_000

/** After an abort, a call whose outcome is unknown is tried again for this time: its leases would have no holder. */
const abortedRetrySeconds = 3

/** The longest pause before another try. */
const longestPauseMs = 1_000

export class Connection {
  readonly client: RedisClient
  readonly #isOurs: boolean
  readonly #retrySeconds: number
  readonly #closing = new AbortController()
  /** Waits for what wakes idle workers; made at its first use. */
  #blocking: RedisClient | undefined

  private constructor(client: RedisClient, isOurs: boolean, retrySeconds: number) {
    this.client = client
    this.#isOurs = isOurs
    this.#retrySeconds = retrySeconds
  }

  /** @throws Error in one sentence: no package, no server, not let in */
  static async open(place: RedisPlace, options: CheckedOptions): Promise<Connection> {
    if (options.client !== undefined) return new Connection(options.client, false, options.retrySeconds)
    return new Connection(await connect(place, options.retrySeconds), true, options.retrySeconds)
  }

  /** Aborted by `close`. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /**
   * Runs a script, again while the server is away or not ready, for `retrySeconds`.
   *
   * @param argsOf its arguments at each attempt, from 1
   * @param what it does, as errors name it
   */
  async run(
    script: Script,
    keys: readonly string[],
    argsOf: (attempt: number) => readonly (string | number)[],
    what: string,
    signal?: AbortSignal,
  ): Promise<unknown> {
    return this.#retried(attempt => this.#evaluate(script, keys, argsOf(attempt)), what, signal)
  }

  /** Sends a command that may be repeated, again as {@link run} does. */
  ask(what: string, command: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#retried(() => this.call(command, ...args), what)
  }

  async #retried<T>(send: (attempt: number) => Promise<T>, what: string, signal?: AbortSignal): Promise<T> {
    const startMs = elapsedMs()
    for (let attempt = 1; ; attempt++) {
      try {
        return await send(attempt)
      } catch (error) {
        const seconds = signal?.aborted ? Math.min(abortedRetrySeconds, this.#retrySeconds) : this.#retrySeconds
        const leftMs = startMs + seconds * 1000 - elapsedMs()
        if (faultKind(error) === 'final' || leftMs <= 0 || this.closing.aborted) throw requestError(error, what)
        const pauseMs = Math.min(longestPauseMs, 20 * 2 ** Math.min(attempt, 10), leftMs)
        await sleep(randomInt(1 + Math.ceil(pauseMs)), this.#closing.signal, signal?.aborted ? undefined : signal)
      }
    }
  }

  /** Sends one command, once. */
  call(command: string, ...args: (string | number)[]): Promise<unknown> {
    return this.client.call(command, ...args)
  }

  async #evaluate(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const rest = [keys.length, ...keys, ...args]
    try {
      return await this.client.call('EVALSHA', script.sha, ...rest)
    } catch (error) {
      // The server was restarted, or another one took over: it keeps scripts in memory only.
      if (!isError(error) || !error.message.startsWith('NOSCRIPT')) throw error
      return this.client.call('EVAL', script.text, ...rest)
    }
  }

  /** A connection of its own: a command that waits blocks those behind it. */
  blocking(): RedisClient {
    if (this.#blocking === undefined) {
      this.#blocking = this.client.duplicate()
      ignoreErrors(this.#blocking)
    }
    return this.#blocking
  }

  close(): void {
    this.#closing.abort()
    this.#blocking?.disconnect()
    if (this.#isOurs) this.client.disconnect()
  }
}

/**
 * A first connection is tried for this time, and twice: a server may just be starting, or this process may have been stopped during the
 * time-out. A wrong address is to be told soon.
 */
const firstTriesMs = 3_000
const firstPauseMs = 300

async function connect(place: RedisPlace, retrySeconds: number): Promise<RedisClient> {
  const { Redis } = await loadOptionalPackage('ioredis', 'redis://', () => import('ioredis'))
  let isOpen = false
  let firstError: unknown
  const startMs = elapsedMs()
  const client = new Redis({
    host: place.host,
    port: place.port,
    db: place.db,
    ...(place.username !== undefined && { username: place.username }),
    ...(place.password !== undefined && { password: place.password }),
    ...(place.isTls && { tls: {} }),
    connectionName: 'ptq',
    connectTimeout: connectionTimeoutMs,
    socketTimeout: silenceTimeoutMs,
    lazyConnect: true,
    // Calls in flight fail with their connection, and are sent again from here: as the same repeated call, and not
    // after its caller has given up.
    maxRetriesPerRequest: 0,
    // A first connection is tried again from here.
    retryStrategy: times => (isOpen ? Math.min(20 * 2 ** times, longestPauseMs) : null),
    // Its primary moved: the name leads to the new one.
    reconnectOnError: error => serverMessageOf(error).startsWith('READONLY'),
  })
  client.on('error', (error: unknown) => {
    firstError ??= error
  })
  for (let attempt = 1; !isOpen; attempt++) {
    firstError = undefined
    try {
      await client.connect()
      // E.g. a database that is not there: the client would continue with another one.
      if (firstError !== undefined) throw firstError
      isOpen = true
    } catch (error) {
      const cause = firstError ?? error
      const isLast = retrySeconds === 0 || (attempt > 1 && elapsedMs() - startMs >= firstTriesMs)
      if (isLast || faultKind(cause) !== 'unreachable') {
        client.disconnect()
        throw openError(cause, place)
      }
      await sleep(firstPauseMs)
    }
  }
  return client
}

/** A client without a listener prints its errors; each command reports them anyway. */
function ignoreErrors(client: RedisClient): void {
  client.on('error', () => undefined)
}
