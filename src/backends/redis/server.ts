/** Checks of a server before its first use. */
import { messageOf } from '../../errors/thrown.js'
import type { Connection } from './connection.js'
import { layoutVersion } from './stored-messages.js'

/** The oldest version whose commands are all that is used. */
const oldestVersion = [6, 2] as const

/** Facts of a server. */
export interface ServerFacts {
  /** Another one after each start. */
  readonly runId: string
  readonly isCluster: boolean
}

/**
 * Asks the server for its facts.
 *
 * @throws Error where it is too old, or may drop keys when its memory is full
 */
export async function checkServer(connection: Connection, address: string): Promise<ServerFacts> {
  const info = await connection.ask(`ask ${address} what server it is (INFO)`, 'INFO')
  return factsFrom(String(info), address)
}

/** Parses the reply to INFO. */
export function factsFrom(info: string, address: string): ServerFacts {
  const facts = new Map(
    info.split(/\r?\n/).map(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1)] as const
    }),
  )
  const version = facts.get('redis_version') ?? 'none'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (!(major > oldestVersion[0] || (major === oldestVersion[0] && minor >= oldestVersion[1]))) {
    throw new Error(
      `Expected Redis ${oldestVersion.join('.')} or later, or Valkey, at ${address}, got version ${version}`,
    )
  }
  const policy = facts.get('maxmemory_policy') ?? 'noeviction'
  if (policy !== 'noeviction') {
    throw new Error(
      `Expected the server at ${address} to keep every key, got maxmemory-policy ${policy}: with it, tasks vanish when its memory is ` +
        'full. Set maxmemory-policy to noeviction, or use another server for queues.',
    )
  }
  return { runId: facts.get('run_id') ?? '', isCluster: facts.get('cluster_enabled') === '1' }
}

/** @throws Error where a newer ptq laid the queue out in a way that this one would misread */
export async function checkLayout(connection: Connection, metaKey: string, label: string): Promise<void> {
  let layout: unknown
  try {
    layout = await connection.ask(`open ${label}`, 'HGET', metaKey, 'layout')
  } catch (error) {
    if (!messageOf(error).includes('WRONGTYPE')) throw error
    throw new Error(`${metaKey} was not made by ptq: choose another name than that of ${label}`, { cause: error })
  }
  if (Number(layout ?? layoutVersion) > layoutVersion) {
    throw new Error(
      `${label} was made by a newer ptq (layout ${layout}, this one knows ${layoutVersion}): update this ptq`,
    )
  }
}
