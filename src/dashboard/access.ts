/** Decides who may see the page: hosts, web pages of other origins, one-time links, sessions. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { hostOf } from '../http/hosts.js'

/** Browsers that are signed in at once; of more, the oldest have to sign in again. */
const maxSessions = 100

/** Why a request is refused. */
export interface Refusal {
  readonly status: 401 | 403 | 405 | 415
  readonly reason: string
}

export interface AccessOptions {
  /** Names that `Host` may have. */
  readonly hosts: readonly string[]
  /** Replaces links and sessions. */
  readonly authorize: ((request: IncomingMessage) => boolean | Promise<boolean>) | undefined
  readonly actions: boolean
}

export class Access {
  readonly #options: AccessOptions
  /** Hashes: comparing them takes the same time whatever is sent. */
  readonly #links = new Set<string>()
  readonly #sessions = new Set<string>()

  constructor(options: AccessOptions) {
    this.#options = options
  }

  /** Makes the token of a link that signs one browser in. */
  newLink(): string {
    const token = randomBytes(24).toString('base64url')
    this.#links.add(hash(token))
    return token
  }

  /** Uses a link up. @returns the secret of a new session; `undefined` where there is no such link */
  signIn(token: string): string | undefined {
    if (!this.#links.delete(hash(token))) return undefined
    const session = randomBytes(32).toString('base64url')
    this.#sessions.add(hash(session))
    const [oldest] = this.#sessions
    if (this.#sessions.size > maxSessions && oldest !== undefined) this.#sessions.delete(oldest)
    return session
  }

  /** Refuses what no request may do, signed in or not: another host; a web page of another origin that reads from here. */
  refuseForeign(request: IncomingMessage, { isPage }: { isPage: boolean }): Refusal | undefined {
    const host = hostOf(request)
    if (host === undefined || !this.#options.hosts.includes(host)) {
      return { status: 403, reason: `This page is not served under the name ${host ?? '(none)'}` }
    }
    const site = request.headers['sec-fetch-site']
    // Left out by what is no browser. A link to the page itself may stand anywhere: the session's cookie isn't sent with it.
    const isNavigation = isPage && request.headers['sec-fetch-mode'] === 'navigate'
    if (site === undefined || site === 'same-origin' || site === 'none' || isNavigation) return undefined
    return { status: 403, reason: 'This was asked for by a page of another origin' }
  }

  /** Refuses those who are not signed in. */
  async refuseStranger(request: IncomingMessage): Promise<Refusal | undefined> {
    const { authorize } = this.#options
    const isKnown = authorize === undefined ? this.#hasSession(request) : await authorize(request)
    return isKnown ? undefined : { status: 401, reason: 'Not signed in' }
  }

  /** Refuses requests that change something: all without `actions`, and those that no page of ours has sent. */
  refuseAction({ headers, method }: IncomingMessage): Refusal | undefined {
    if (method !== 'POST') return { status: 405, reason: 'Expected POST' }
    if (!this.#options.actions)
      return { status: 403, reason: 'This page only shows: start it with --actions to change queues' }
    // Browsers send it with each POST.
    if (headers.origin === undefined || hostAndPort(headers.origin) !== headers.host?.toLowerCase()) {
      return { status: 403, reason: 'This was sent by a page of another origin' }
    }
    // A form of another page can't send this type.
    if (!/^application\/json(?:;|$)/i.test(headers['content-type'] ?? '')) {
      return { status: 415, reason: 'Expected application/json' }
    }
    return undefined
  }

  /** The header that keeps a session in a browser. @param path below which the cookie is sent */
  cookie(request: IncomingMessage, session: string, path: string): string {
    const secure = 'encrypted' in request.socket ? '; Secure' : ''
    return `${cookieName(request)}=${session}; Path=${path}; HttpOnly; SameSite=Strict${secure}`
  }

  #hasSession(request: IncomingMessage): boolean {
    const name = cookieName(request)
    const cookies = (request.headers.cookie ?? '').split(';').map(cookie => cookie.trim().split('='))
    const given = cookies.filter(([key]) => key === name).map(([, value]) => Buffer.from(hash(value ?? '')))
    return [...this.#sessions].some(session => given.some(each => timingSafeEqual(each, Buffer.from(session))))
  }
}

/** Cookies of all ports of a host are one set. */
function cookieName({ headers }: IncomingMessage): string {
  return `ptq-${/:(\d+)$/.exec(headers.host ?? '')?.[1] ?? 'page'}`
}

function hostAndPort(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}

function hash(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}
