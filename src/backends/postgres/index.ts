/** Queues in PostgreSQL: `postgres://user@host:5432/database?queue=name`. */
import type { BackendOpener } from '../../backend/backend.js'
import { formatQueueUrl } from '../../backend/queue-url.js'
import { parseServerUrl } from '../../backend/server-url.js'
import { PostgresBackend } from './backend.js'
import { Connection } from './connection.js'
import { checkOptions } from './options.js'
import { PostgresQueue } from './queue.js'
import { openDatabase } from './schema.js'

export type { PostgresClient, PostgresOptions, PostgresPool } from './options.js'

/** Opens `postgres://` queues; options as in {@link PostgresOptions}. Nothing is made before the first insert. */
export const opener: BackendOpener = {
  async open(url, options) {
    const server = parseServerUrl(url)
    const connection = await Connection.make(formatQueueUrl(url), url, server, checkOptions(options))
    try {
      const database = await openDatabase(connection)
      return new PostgresBackend(new PostgresQueue(connection, server.queue, database.hasTables), url, database)
    } catch (error) {
      await connection.close()
      throw error
    }
  },
}
