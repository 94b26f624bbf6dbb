/** The server of a case: its statements are durable, as those of people's servers are. */
import { type PostgresServer, startServer } from './server.js'

/** Starts a server for one case. */
export function startBenchServer(): Promise<PostgresServer> {
  return startServer({ settings: { fsync: 'on', shared_buffers: '256MB', max_wal_size: '4GB' } })
}

/** The database alone, for clients that take no queue. */
export function databaseOf(server: PostgresServer): string {
  return server.url('bench').replace(/\?.*$/, '')
}
