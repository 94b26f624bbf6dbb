/** Classifies errors of the server and of the connection, and describes in one sentence what failed. */
import { certificateFault } from '../../backend/certificate-fault.js'
import type { ServerFault } from '../../backend/server-retries.js'
import { causeChain, codeOf, errorsOf, isError, messageOf } from '../../errors/thrown.js'
import { plainLine } from '../../text/plain-line.js'

/** Nothing was sent: the connection could not be made. */
const unreachableCodes = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN'])

/** The connection ended, perhaps after the statement was carried out. */
const cutCodes = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT'])

/**
 * States of SQL in which the server has done nothing and may do better later. 40001, 40P01: rolled back for another transaction;
 * 53xxx: out of connections, memory or disk; 55P03: a lock was not had; 57P01 to 57P03: it shuts down or starts.
 */
const busyStates = /^(?:40001|40P01|53...|55P03|57P0[123])$/

/** Messages of the client for a connection that ended or does not answer. */
const cutMessages =
  /^(?:Connection terminated|Query read timeout|Client has encountered a connection error|This socket has been ended)/
const silentMessages =
  /^(?:timeout exceeded when trying to connect|timeout expired|Connection terminated due to connection timeout)/

/** The five characters by which PostgreSQL names an error. */
export function stateOf(error: unknown): string | undefined {
  const code = codeOf(error)
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code) ? code : undefined
}

/** Decides if another try may help. */
export function faultOf(error: unknown): ServerFault {
  const state = stateOf(error)
  // The transaction may have committed before the connection was ended.
  if (state === '57P01' || state === '57P02' || state?.startsWith('08')) return 'cut'
  if (state !== undefined) return busyStates.test(state) ? 'busy' : 'final'
  const message = messageOf(error)
  for (const each of [error, ...(errorsOf(error) ?? [])]) {
    const code = codeOf(each)
    if (code !== undefined && unreachableCodes.has(code)) return 'unreachable'
    if (code !== undefined && cutCodes.has(code)) return isConnecting(each) ? 'unreachable' : 'cut'
  }
  if (silentMessages.test(message)) return 'silent'
  return cutMessages.test(message) ? 'cut' : 'final'
}

function isConnecting(error: unknown): boolean {
  return isError(error) && 'syscall' in error && error.syscall === 'connect'
}

/** True if one of ptq's tables does not exist. */
export function isMissingTable(error: unknown): boolean {
  return stateOf(error) === '42P01' || stateOf(error) === '3F000'
}

/** True where the account lacks a right. */
export function isForbidden(error: unknown): boolean {
  return causeChain(error).some(each => stateOf(each) === '42501')
}

/**
 * One sentence on a failed call, with the client's error as `cause`.
 *
 * @param doing what was tried, e.g. `insert into`
 * @param label the queue, without a password
 */
export function serverError(error: unknown, doing: string, label: string): Error {
  return new Error(`Can't ${doing} ${label}: ${reasonOf(error)}`, { cause: error })
}

function reasonOf(error: unknown): string {
  const state = stateOf(error)
  const said = plainLine(messageOf(error, 500))
  if (state === '28P01')
    return 'the server refused the user name or password; check them in the URL, PGPASSWORD or ~/.pgpass'
  if (state?.startsWith('28'))
    return `the server refused the connection (${said}); check the user and the server's pg_hba.conf`
  if (/client password must be a (?:non-empty )?string/.test(said)) {
    return 'the server asks for a password; put it into the URL, PGPASSWORD or ~/.pgpass'
  }
  if (state === '3D000') return `${said}; create the database, or name another one in the URL`
  if (state === '53300')
    return `the server has no connection free (${said}); raise max_connections or run fewer workers`
  if (state === '25006') return 'the server is a read-only replica; use the address of the primary'
  if (state === '42501') return `${said}; docs/postgres.md lists the rights that a queue needs`
  if (isMissingTable(error)) return `a table of the schema ptq is gone (${said}); the next insert makes it again`
  const certificate = certificateFault(error, "name the authority's file with sslrootcert=FILE in the URL")
  if (certificate !== undefined) return certificate
  const fault = faultOf(error)
  const code = codeOf((errorsOf(error) ?? [])[0]) ?? codeOf(error)
  if (fault === 'unreachable' || fault === 'silent')
    return `no answer (${code ?? said}); check the host, the port and that the server runs`
  if (fault === 'cut') return `the connection ended (${said})`
  if (/server does not support SSL/.test(said)) return 'the server has no SSL; leave sslmode out of the URL'
  return state === undefined ? said : `${said} (${state})`
}
