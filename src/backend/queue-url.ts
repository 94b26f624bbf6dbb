/**
 * Parses and prints queue URLs, without I/O.
 *
 * ```text
 * fq:///abs  fq://./rel  fq://~/x  /abs  ./rel  ../rel  ~/x     a folder: the file queue
 * sqs://name  https://sqs.REGION.amazonaws.com/ACCOUNT/name     Amazon SQS, or a server that speaks its language
 * mem://name                                                    a queue in this process
 * postgres://user:password@host:5432/database?queue=name        PostgreSQL, see server-url.ts
 * other://anything                                              a registered protocol; what follows is its own
 * ```
 *
 * A bare word is refused: it means an SQS queue in Python, and a folder in a shell.
 */
import { isAbsolute, resolve } from 'node:path'
import { argumentError } from '../errors/errors.js'
import type { QueueUrl } from './backend.js'
import { isServerProtocol, withoutPassword } from './server-url.js'

/** The base of relative paths. */
export interface UrlSurroundings {
  /** The absolute path of `./`. */
  readonly cwd: string
  /** The absolute path of `~/`. */
  readonly home: string
}

const protocolPattern = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is
const relativePattern = /^\.{1,2}(?:[/\\]|$)/
const homePattern = /^~(?:[/\\]|$)/

/** SQS: up to 80 letters, digits, `-` and `_`, the suffix `.fifo` counted. */
const sqsNamePattern = /^(?=.{1,80}$)[A-Za-z0-9_-]+(?:\.fifo)?$/

/**
 * Parses a queue's URL.
 *
 * @throws TypeError if the text is neither a URL nor an explicit path; the message says how to write it
 */
export function parseQueueUrl(text: string, surroundings: UrlSurroundings): QueueUrl {
  if (typeof text !== 'string' || text === '') {
    throw argumentError('url', 'the URL of a queue, such as `fq:///path/to/queue` or `sqs://name`', text)
  }
  const [, protocol, rest] = protocolPattern.exec(text) ?? []
  if (protocol === undefined || rest === undefined) {
    const path = folderPath(text, surroundings)
    if (path === undefined) {
      throw argumentError(
        'url',
        `a URL, or a path that starts with \`/\`, \`./\` or \`~/\`: write \`./${text}\` for a folder or \`sqs://${text}\` for an SQS queue`,
        text,
      )
    }
    return { protocol: 'fq', path: checkedFolder(path, text) }
  }
  switch (protocol.toLowerCase()) {
    case 'fq':
      return { protocol: 'fq', path: fqPath(rest, text, surroundings) }
    case 'sqs':
      return { protocol: 'sqs', path: /^https?:\/\//i.test(rest) ? sqsAddress(rest, text) : sqsName(rest, text) }
    case 'http':
    case 'https':
      return { protocol: 'sqs', path: sqsAddress(text, text) }
    case 'mem':
      if (rest === '') throw argumentError('url', 'a queue in memory with a name, such as `mem://name`', text)
      return { protocol: 'mem', path: rest }
    default:
      return otherUrl(protocol.toLowerCase(), rest)
  }
}

/** The rest is the backend's own; only a password is kept separate. */
function otherUrl(protocol: string, rest: string): QueueUrl {
  return isServerProtocol(protocol) ? { protocol, ...withoutPassword(rest) } : { protocol, path: rest }
}

/**
 * The canonical form of a queue's URL: `parseQueueUrl` of it gives the same `QueueUrl` everywhere, except for the
 * password, which is never written.
 */
export function formatQueueUrl(url: QueueUrl): string {
  return url.protocol === 'sqs' && /^https?:\/\//i.test(url.path) ? url.path : `${url.protocol}://${url.path}`
}

/** The absolute path, or `undefined` if the text is not an explicit path. */
function folderPath(text: string, { cwd, home }: UrlSurroundings): string | undefined {
  if (isAbsolute(text)) return resolve(text)
  if (relativePattern.test(text)) return resolve(cwd, text)
  if (homePattern.test(text)) return resolve(home, text.slice(2))
  return undefined
}

function fqPath(rest: string, text: string, surroundings: UrlSurroundings): string {
  if (rest === '') throw argumentError('url', 'a folder, such as `fq:///path/to/queue`', text)
  const path = folderPath(rest, surroundings)
  if (path === undefined) {
    throw argumentError('url', `a folder: write \`fq:///${rest}\` from the root or \`fq://./${rest}\` from here`, text)
  }
  return checkedFolder(path, text)
}

function checkedFolder(path: string, text: string): string {
  // No filesystem can hold it, and the error that node:fs gives would come as late as the first verb.
  if (path.includes('\0')) throw argumentError('url', 'a path without a NUL character', text)
  return path
}

function sqsName(name: string, text: string): string {
  if (!sqsNamePattern.test(name)) {
    throw argumentError(
      'url',
      'the name of an SQS queue (`sqs://` and up to 80 letters, digits, `-` and `_`, with `.fifo` at the end of a FIFO queue)',
      text,
    )
  }
  return name
}

function sqsAddress(address: string, text: string): string {
  const { username = '', password = '' } = URL.canParse(address) ? new URL(address) : {}
  if (username !== '' || password !== '') {
    throw argumentError('url', 'an address without a user name or password: SQS takes neither', text)
  }
  const segments = URL.canParse(address) ? new URL(address).pathname.split('/').filter(part => part !== '') : []
  if (segments.length < 2) {
    throw argumentError(
      'url',
      'the address of an SQS queue, such as `https://sqs.us-east-1.amazonaws.com/123456789012/name`',
      text,
    )
  }
  return address
}
