/** Registers and opens backends by protocol. */
import { setMaxListeners } from 'node:events'
import type { Backend, BackendOpener, BackendOptions, QueueUrl } from '../backend/backend.js'
import { formatQueueUrl } from '../backend/queue-url.js'
import { isServerProtocol, withPassword } from '../backend/server-url.js'
import { checkNames } from '../errors/check-options.js'
import { argumentError, UnsupportedProtocolError } from '../errors/errors.js'
import { callerOf } from '../tasks/caller.js'
import { refuseEntryFile } from '../threads/entry-script.js'
import { logged } from './logged-backend.js'

const redis = async () => (await import('../backends/redis/index.js')).opener

/** Built-in backends, loaded when the first queue of their kind is opened: file queues never load the AWS SDK. */
const builtIn = new Map<string, () => Promise<BackendOpener>>([
  ['fq', async () => (await import('../backends/fq/index.js')).opener],
  ['mem', async () => (await import('../backends/mem/index.js')).opener],
  ['postgres', async () => (await import('../backends/postgres/index.js')).opener],
  ['postgresql', async () => (await import('../backends/postgres/index.js')).opener],
  ['redis', redis],
  ['rediss', redis],
  ['sqs', async () => (await import('../backends/sqs/index.js')).opener],
  ['valkey', redis],
])

/** Protocols that `registerBackend` refuses. Those of servers are allowed: users registered them before they were built in. */
const fixed: readonly string[] = [
  ...[...builtIn.keys()].filter(protocol => !isServerProtocol(protocol)),
  'http',
  'https',
]

/** Overrides of what `registerBackend` finds out by itself. */
export interface RegisterBackendOptions {
  /** `import.meta.url` of the module that threads import to have it too. Default: the one that is loaded when `registerBackend` is called. */
  readonly url?: string
}

/** A registered opener, and the file that threads import to have it too. */
interface Registration {
  readonly opener: BackendOpener
  readonly url: string | undefined
  /** The copy of this module that was called. */
  readonly by: typeof registerBackend
}

// On `globalThis` for the reason given in registry.ts: another copy of this module opens what was registered through this one.
const registeredKey = Symbol.for('ptq.backends.1')
const holder = globalThis as { [registeredKey]?: Map<string, Registration> }
holder[registeredKey] ??= new Map()
const registered: Map<string, Registration> = holder[registeredKey]

/**
 * Makes queues of another kind known: `new TaskQueue('<protocol>://…')` then opens them through `opener`.
 *
 * @param protocol lower case letters, digits, `+`, `-` and `.`, beginning with a letter, e.g. `redis`
 * @throws TypeError if the protocol is not of that form, is built in, or was registered with another opener
 */
export function registerBackend(protocol: string, opener: BackendOpener, options: RegisterBackendOptions = {}): void {
  checkNames('options of registerBackend', options, ['url'])
  if (typeof protocol !== 'string' || !/^[a-z][a-z0-9+.-]*$/.test(protocol)) {
    throw argumentError('protocol', 'lower case letters, digits, `+`, `-` and `.` that begin with a letter', protocol)
  }
  if (typeof opener?.open !== 'function') throw argumentError('opener', 'an object with a method `open`', opener)
  if (fixed.includes(protocol)) {
    throw argumentError('protocol', `another than the library's own: ${fixed.join(', ')}`, protocol)
  }
  const registration = { opener, url: options.url ?? callerOf(registerBackend).module, by: registerBackend }
  const earlier = registered.get(protocol)
  if (earlier !== undefined && earlier.opener !== opener && !isSecondCopy(earlier, registration)) {
    throw argumentError('protocol', 'one that is not registered with another opener', protocol)
  }
  registered.set(protocol, registration)
}

/** One file loaded twice, as ESM and as CommonJS, registers its opener through two copies of this module: the newer one counts. */
function isSecondCopy(earlier: Registration, { opener, url, by }: Registration): boolean {
  const isSameCode = url !== undefined && earlier.url === url && String(earlier.opener.open) === String(opener.open)
  return isSameCode && earlier.by !== by
}

/** @throws UnsupportedProtocolError where nothing opens queues of this protocol; the message lists those known */
export function requireProtocol(protocol: string): void {
  if (isProtocolKnown(protocol)) return
  const known = [...builtIn.keys(), ...registered.keys()].sort().map(name => `${name}://`)
  throw new UnsupportedProtocolError(
    `Expected a queue's protocol to be one of ${known.join(', ')}, got \`${protocol}://\`. ` +
      `Others are made known by registerBackend('${protocol}', …)`,
  )
}

/** True if queues of this protocol can be opened in this thread. */
export function isProtocolKnown(protocol: string): boolean {
  return builtIn.has(protocol) || registered.has(protocol)
}

/** True if queues of this protocol are opened by a built-in backend, and not by a registered one. */
export function isBuiltIn(protocol: string): boolean {
  return builtIn.has(protocol) && !registered.has(protocol)
}

/**
 * The file that a thread has to import to open queues of this protocol; `undefined` for a built-in one.
 *
 * @throws Error where a thread can't import it
 */
export function backendFile(protocol: string): string | undefined {
  const registration = registered.get(protocol)
  if (registration === undefined) return undefined
  refuseEntryFile(`${protocol}://`, registration.url)
  return registration.url
}

/** Opens a queue; see {@link OpenOnce}. */
export async function openBackend(url: QueueUrl, options: BackendOptions): Promise<Backend> {
  requireProtocol(url.protocol)
  const own = registered.get(url.protocol)?.opener
  // A registered one gets what follows the protocol as it was written.
  if (own !== undefined) return own.open({ protocol: url.protocol, path: withPassword(url) }, options)
  const opener = await builtIn.get(url.protocol)?.()
  if (opener === undefined) throw new UnsupportedProtocolError(`Expected a known protocol, got \`${url.protocol}://\``)
  return logged(await opener.open(url, options))
}

/**
 * Opens a backend at its first use, once, also for concurrent uses; after a failed open the next use tries again. After
 * `close` every use is refused.
 */
export class OpenOnce {
  /** The queue's URL in its one form. */
  readonly url: string
  readonly #url: QueueUrl
  readonly #options: BackendOptions
  readonly #check: ((opened: Backend) => Promise<void>) | undefined
  readonly #closing = new AbortController()
  readonly #uses = new Set<Promise<unknown>>()
  #opening: Promise<Backend> | undefined
  #closed: Promise<void> | undefined

  /** @param check refuses what was opened, by an error. Default: nothing is refused */
  constructor(url: QueueUrl, options: BackendOptions, check?: (opened: Backend) => Promise<void>) {
    this.#check = check
    this.url = formatQueueUrl(url)
    this.#url = url
    this.#options = options
    // One listener per pending call; Node warns of a leak at more than 10.
    setMaxListeners(0, this.#closing.signal)
  }

  /** Aborted by `close`. */
  get signal(): AbortSignal {
    return this.#closing.signal
  }

  /** @throws Error after `close` */
  requireOpen(): void {
    if (this.signal.aborted) throw this.signal.reason
  }

  /** Returns the backend; `close` does not wait for its use, see {@link use}. */
  async open(): Promise<Backend> {
    this.requireOpen()
    this.#opening ??= this.#openAndCheck().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  async #openAndCheck(): Promise<Backend> {
    const opened = await openBackend(this.#url, this.#options)
    try {
      await this.#check?.(opened)
    } catch (error) {
      await opened.close()
      throw error
    }
    return opened
  }

  /** Uses the backend; `close` waits until the use has ended. */
  async use<T>(action: (backend: Backend) => Promise<T>): Promise<T> {
    const use = this.open().then(action)
    this.#uses.add(use)
    try {
      return await use
    } finally {
      this.#uses.delete(use)
    }
  }

  /**
   * Aborts `signal`, waits until all uses have ended, and closes the backend if it was opened.
   *
   * @param last what is to be done with the backend before it closes. Default: nothing
   */
  close(last?: (backend: Backend) => Promise<void>): Promise<void> {
    this.#closed ??= this.#close(last)
    return this.#closed
  }

  async #close(last: ((backend: Backend) => Promise<void>) | undefined): Promise<void> {
    this.#closing.abort(new Error(`${this.url} was closed: open it with a new TaskQueue`))
    // Each caller gets the result of its own use.
    await Promise.allSettled(this.#uses)
    // A failed open was reported to its caller, and there is nothing to close.
    const backend = await this.#opening?.catch(() => undefined)
    if (backend === undefined) return
    try {
      await last?.(backend)
    } finally {
      await backend.close()
    }
  }
}
