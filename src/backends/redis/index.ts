/** Queues on a Redis or Valkey server: `redis://host:6379/0?queue=jobs`, `rediss://` with TLS, `valkey://`. */
import type { BackendOpener } from '../../backend/backend.js'
import { siblingUrl } from '../../backend/server-url.js'
import { RedisBackend } from './backend.js'
import { Connection } from './connection.js'
import { checkOptions } from './options.js'
import { parsePlace } from './place.js'
import { RedisQueue } from './queue.js'
import { checkLayout, checkServer } from './server.js'

export type { RedisClient, RedisOptions } from './options.js'

/** Opens Redis queues; options as in {@link RedisOptions}. */
export const opener: BackendOpener = {
  async open(url, options) {
    const place = parsePlace(url)
    const connection = await Connection.open(place, checkOptions(options))
    try {
      const server = await checkServer(connection, place.address)
      const label = `${place.address}?queue=${place.queue}`
      const queue = new RedisQueue(connection, place.queue, label)
      await checkLayout(connection, queue.key('meta'), label)
      return new RedisBackend(queue, server, place.db, siblingUrl(url, `${place.queue}/failed`))
    } catch (error) {
      connection.close()
      throw error
    }
  },
}
