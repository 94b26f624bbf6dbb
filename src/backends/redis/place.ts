/** The place of a Redis queue, parsed from its URL. No I/O. */
import type { QueueUrl } from '../../backend/backend.js'
import { parseServerUrl } from '../../backend/server-url.js'
import { argumentError } from '../../errors/errors.js'

/** A server, a database, and the name of a queue in it. */
export interface RedisPlace {
  readonly host: string
  readonly port: number
  readonly db: number
  readonly username: string | undefined
  readonly password: string | undefined
  readonly isTls: boolean
  readonly queue: string
  /** The server and database as messages show them. */
  readonly address: string
}

/**
 * Reads the URL of a queue. Without a password, that of the environment variable REDISCLI_AUTH is used, as `redis-cli` does.
 *
 * @throws TypeError if it is invalid
 */
export function parsePlace(url: QueueUrl): RedisPlace {
  const { protocol, user, password, host, port = 6379, database, queue, parameters } = parseServerUrl(url)
  // Redis has 16 databases by default, and as many as its configuration says.
  if (!/^\d{0,5}$/.test(database))
    throw argumentError('url', 'one with the number of a database after the host', database)
  for (const name of parameters.keys()) {
    throw argumentError('url', 'one without other parameters than `queue`', name)
  }
  const name = host === '' ? 'localhost' : host
  const db = Number(database)
  return {
    host: name,
    port,
    db,
    username: user === '' ? undefined : user,
    password: password ?? (process.env.REDISCLI_AUTH || undefined),
    isTls: protocol === 'rediss',
    queue,
    address: `${protocol}://${name.includes(':') ? `[${name}]` : name}:${port}/${db}`,
  }
}
