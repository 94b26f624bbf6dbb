/** Servers for tests of outcomes: one of each kind that can be started here. */
import { after } from 'node:test'
import type { BackendOpener } from '#ptq/backend/backend.js'
import { opener as postgres } from '#ptq/backends/postgres/index.js'
import { opener as redis } from '#ptq/backends/redis/index.js'
import * as postgresServer from '../../bench/postgres/server.js'
import * as redisServer from '../redis/server.js'

/** A kind of server. */
interface ServerPlace {
  readonly name: string
  readonly opener: BackendOpener
  /** The reason why none can be started. */
  readonly skip: string | false
  /** Starts a server until the tests of the file have ended; resolves with a function that makes the URL of a queue. */
  start(): Promise<(queue: string) => string>
}

export const places: readonly ServerPlace[] = [
  { name: 'postgres', opener: postgres, skip: await postgresServer.noServer(), start: startPostgres },
  { name: 'redis', opener: redis, skip: redisServer.noServer, start: startRedis },
]

async function startPostgres(): Promise<(queue: string) => string> {
  const server = await postgresServer.startServer()
  after(() => server.close())
  return queue => server.url(queue)
}

async function startRedis(): Promise<(queue: string) => string> {
  const server = await redisServer.startServer()
  after(() => server.stop())
  return queue => server.url(queue)
}
