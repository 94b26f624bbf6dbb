/** Classifies failed commands (retry or not), and describes in one sentence what failed. */
import { certificateFault } from '../../backend/certificate-fault.js'
import { causeChain, codeOf, isError, isErrorNamed, messageOf, nameOf } from '../../errors/thrown.js'
import type { RedisPlace } from './place.js'

/**
 * `unreachable`: no response. `busy`: the server answered, and may succeed soon. `final`: another try would fail in the
 * same way.
 */
export type FaultKind = 'unreachable' | 'busy' | 'final'

/** Loading its data, in a failover, running a long script of someone, or a former primary that its name still leads to. */
const busy = /^(?:LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|MOVED|ASK)\b/

/** What Redis before 7 puts before the error of a command in a script, if the code of that error follows. */
const scriptCall = /^ERR Error running script \(call to \w+\): @user_script:\d+: (?:@user_script: \d+: -)?(?=[A-Z]+ )/

/** The server's own message, which begins with the code of its error, also for a command in a script. */
export function serverMessageOf(error: unknown): string {
  return messageOf(error).replace(scriptCall, '')
}

/** Messages of ioredis for a connection that broke, or was not there. */
const disconnected =
  /^(?:Connection is closed|Reached the max retries per request limit|Socket timeout|Stream isn't writeable|Command timed out|None of startup nodes is available|Failed to refresh slots cache|Cluster isn't ready)/

const networkCodes = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
])

/** Decides if another try may succeed. */
export function faultKind(error: unknown): FaultKind {
  if (busy.test(serverMessageOf(error))) return 'busy'
  const isAway = causeChain(error).some(
    cause => networkCodes.has(codeOf(cause) ?? '') || disconnected.test(messageOf(cause)),
  )
  return isAway ? 'unreachable' : 'final'
}

/**
 * The error of a command that failed for good.
 *
 * @param what was to be done: `lease from redis://localhost:6379/0?queue=jobs`
 */
export function requestError(error: unknown, what: string): Error {
  return new Error(`Could not ${what}: ${reasonOf(error)}`, { cause: withoutCommand(error) })
}

/** The error of a connection that could not be opened. */
export function openError(error: unknown, { address, isTls }: RedisPlace): Error {
  const cause = withoutCommand(error)
  if (faultKind(error) === 'unreachable') {
    const reason = networkReason(error)
    // Redis with TLS ends a connection that begins without it; one without TLS waits for the end of a line.
    const mayHaveTls = !isTls && /^(?:ECONNRESET|Connection is closed)/.test(reason)
    const mayHaveNone = isTls && reason === 'ETIMEDOUT'
    const other = mayHaveTls ? '; one with TLS wants rediss://' : mayHaveNone ? '; one without TLS wants redis://' : ''
    const check = `check the address, and that the server runs${other}`
    return new Error(`No Redis server answers at ${address} (${reason}): ${check}`, { cause })
  }
  if (/protocol error|unknown RESP|wrong version number|packet length/i.test(messageOf(error))) {
    return new Error(`What answers at ${address} is no Redis server, or one ${isTls ? 'without' : 'with'} TLS`, {
      cause,
    })
  }
  return new Error(`Could not connect to ${address}: ${reasonOf(error)}`, { cause })
}

/** Hints, by the beginning of the server's own message. */
const hints: readonly (readonly [RegExp, string])[] = [
  [/^NOAUTH/, 'it wants a password: put it into the URL (redis://user:password@host), or set REDISCLI_AUTH'],
  [/^WRONGPASS|^ERR invalid password|^ERR AUTH/, 'it refused the user name or password'],
  [/^NOPERM/, 'its user lacks a permission, see "Permissions" in docs/redis.md'],
  [/^READONLY/, 'it is a read-only replica: name the primary'],
  [/^OOM/, 'its memory is full (maxmemory): what is queued can still be finished'],
  [/^MISCONF/, 'it refuses writes since its last snapshot to disk failed, see its log'],
  [/^NOREPLICAS/, 'it refuses writes without enough replicas (min-replicas-to-write)'],
  [/DB index is out of range/, 'it has no database of that number'],
  [/^PTQLATE/, 'the call was given up before'],
]

function reasonOf(error: unknown): string {
  const certificate = certificateFault(error, "name the authority's file in NODE_EXTRA_CA_CERTS, or pass a `client`")
  if (certificate !== undefined) return certificate
  const message = serverMessageOf(error)
  if (faultKind(error) === 'unreachable') return `the server does not answer (${networkReason(error)})`
  const hint = hints.find(([pattern]) => pattern.test(message))?.[1]
  return hint === undefined ? message : `${hint} (${message})`
}

function networkReason(error: unknown): string {
  for (const cause of causeChain(error)) {
    const code = codeOf(cause)
    if (code !== undefined) return code
  }
  return isErrorNamed(error, 'MaxRetriesPerRequestError') ? 'the connection broke' : messageOf(error)
}

/** The client puts the command into its errors: a password, or the bodies of messages, which would be printed with them. */
function withoutCommand(error: unknown): unknown {
  if (!isError(error) || !('command' in error)) return error
  const copy = new Error(error.message)
  copy.name = nameOf(error)
  if (error.stack !== undefined) copy.stack = error.stack
  return copy
}
