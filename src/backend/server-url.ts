/**
 * URLs of queues on a server, without I/O:
 *
 * ```text
 * postgres://user:password@host:5432/database?queue=name      redis://user:password@host:6379/0?queue=name
 * ```
 *
 * A password is kept separate from the rest, which is printed.
 */
import { argumentError } from '../errors/errors.js'
import type { QueueUrl } from './backend.js'

/** The kinds of servers, by protocol. */
const servers: Readonly<Record<string, 'PostgreSQL' | 'Redis'>> = {
  postgres: 'PostgreSQL',
  postgresql: 'PostgreSQL',
  redis: 'Redis',
  rediss: 'Redis',
  valkey: 'Redis',
}

const examples = {
  PostgreSQL: 'postgres://user@host:5432/database?queue=jobs',
  Redis: 'redis://host:6379/0?queue=jobs',
}

/** The name of a dead-letter queue is longer by `/failed`, and has one itself. */
const queueNamePattern = /^[A-Za-z0-9._/-]{1,100}?(?:\/failed)*$/

/** The URL of a queue on a server, parsed and decoded. */
export interface ServerUrl {
  readonly protocol: string
  /** Empty if the URL has none. */
  readonly user: string
  /** `undefined` if the URL has none. */
  readonly password: string | undefined
  /** Empty if the URL has none. An IPv6 address has no brackets. */
  readonly host: string
  readonly port: number | undefined
  /** The path without its first `/`: the database. Empty if the URL has none. */
  readonly database: string
  /** The name of the queue. */
  readonly queue: string
  /** The other parameters. */
  readonly parameters: ReadonlyMap<string, string>
}

/** True for the protocols of queues on a server. */
export function isServerProtocol(protocol: string): boolean {
  return Object.hasOwn(servers, protocol)
}

/** The part of a URL after `protocol://`, with its password separate. */
export function withoutPassword(rest: string): Pick<QueueUrl, 'path' | 'password'> {
  const at = endOfUser(rest)
  const colon = rest.indexOf(':')
  if (colon < 0 || colon > at) return { path: rest }
  const user = rest.slice(0, colon)
  return { path: user === '' ? rest.slice(at + 1) : user + rest.slice(at), password: rest.slice(colon + 1, at) }
}

/** The reverse of {@link withoutPassword}. */
export function withPassword({ path, password }: QueueUrl): string {
  if (password === undefined) return path
  const at = endOfUser(path)
  return at < 0 ? `:${password}@${path}` : `${path.slice(0, at)}:${password}${path.slice(at)}`
}

/** Index of the `@` before the host; -1 where there is no user. */
function endOfUser(rest: string): number {
  const [authority = ''] = rest.split(/[/?#]/, 1)
  return authority.lastIndexOf('@')
}

/**
 * Parses the URL of a queue on a server.
 *
 * @throws TypeError if it is invalid; the message has no password
 */
export function parseServerUrl(url: QueueUrl): ServerUrl {
  const { protocol } = url
  const server = servers[protocol] ?? 'PostgreSQL'
  const refuse = (expected: string) => argumentError('url', expected, hidden(`${protocol}://${url.path}`))
  const text = `${protocol}://${withPassword(url)}`
  const parsed = URL.canParse(text) ? new URL(text) : undefined
  const queues = parsed?.searchParams.getAll('queue') ?? []
  const parts = parsed && decoded(parsed)
  if (parsed === undefined || parts === undefined) {
    throw refuse(
      `the URL of a queue in ${server}, such as \`${examples[server]}\` (other characters in a user name or password as %XX)`,
    )
  }
  if (parsed.hash !== '') throw refuse('a URL without `#` (in a user name or password it is %23)')
  if (parsed.searchParams.has('password')) {
    throw refuse('a URL that has its password before the host, or in the environment, and not as a parameter')
  }
  const [queue] = queues
  if (queue === undefined) {
    throw refuse(`a URL that names the queue on the server with \`?queue=\`, such as \`${examples[server]}\``)
  }
  if (queues.length > 1 || !queueNamePattern.test(queue)) {
    throw refuse('a URL with one `queue=`, a name of up to 100 letters, digits, `.`, `_`, `-` and `/`')
  }
  const parameters = new Map([...parsed.searchParams].filter(([name]) => name !== 'queue'))
  return { protocol, ...parts, queue, parameters }
}

/** The URL of another queue on the same server, as text without a password. */
export function siblingUrl(url: QueueUrl, queue: string): string {
  const [base = '', query = ''] = url.path.split('?')
  const parameters = query.split('&').filter(part => part !== '' && !/^queue(?:=|$)/.test(part))
  return `${url.protocol}://${base}?${[...parameters, `queue=${queue}`].join('&')}`
}

/** Gives a URL of the same server and user without a password the password of `owner`. */
export function withPasswordOf(url: QueueUrl, owner: QueueUrl): QueueUrl {
  if (url.password !== undefined || owner.password === undefined) return url
  const server = ({ protocol, path }: QueueUrl) => `${servers[protocol]} ${path.split(/[/?#]/)[0]}`
  return isServerProtocol(url.protocol) && server(url) === server(owner) ? { ...url, password: owner.password } : url
}

function decoded(url: URL): Pick<ServerUrl, 'user' | 'password' | 'host' | 'port' | 'database'> | undefined {
  try {
    return {
      user: decodeURIComponent(url.username),
      password: url.password === '' ? undefined : decodeURIComponent(url.password),
      host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? undefined : Number(url.port),
      database: decodeURIComponent(url.pathname.replace(/^\//, '')),
    }
  } catch {
    // A `%` that is no escape.
    return undefined
  }
}

/** Hides passwords also where the text is no URL: one that has a `/` or `@` in it that is not escaped. */
function hidden(text: string): string {
  return text.replace(/:\/\/.*@/s, '://…@').replace(/([?&]password=)[^&#]*/gi, '$1…')
}
