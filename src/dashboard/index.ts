/** `ptq/dashboard`: a page that shows queues, as a handler for any HTTP server. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { checkBoolean, checkFunction, checkNames, checkPositive } from '../errors/check-options.js'
import { argumentError } from '../errors/errors.js'
import { loopbackHosts } from '../http/hosts.js'
import { TaskQueue } from '../index.js'
import { Handler } from './handler.js'
import { Sampler } from './sampler.js'

/** A queue to show. */
export interface ShownQueue {
  readonly queue: TaskQueue
  /** URL of the queue of its dead letters. Default: the queue's own. */
  readonly deadLetter?: string
}

/** Options of {@link dashboard}. */
export interface DashboardOptions {
  /** Let pages change queues: retry, release, purge, insert. Default false. */
  readonly actions?: boolean
  /** Names under which the server is reached, as in `Host`, without a port. Default: those of this machine's loopback interface. */
  readonly hosts?: readonly string[]
  /** Decides who may see the page. Default: browsers that opened a {@link Dashboard.newLink}. */
  readonly authorize?: (request: IncomingMessage) => boolean | Promise<boolean>
  /** Path of the page, for servers that pass whole URLs. Express cuts the path off: leave it out there. Default `/`. */
  readonly path?: string
  /** Time between two readings of a queue while a page is open. Default 2; without an open page at least 10. */
  readonly intervalSeconds?: number
  /** Called when a browser has used a link. */
  readonly onSignIn?: () => void
}

/** The handler, with what belongs to it. */
export interface Dashboard {
  (request: IncomingMessage, response: ServerResponse): void
  /** The query of a URL of the page that signs one browser in, once: `?token=…`. */
  newLink(): string
  /** Ends readings and open pages; the queues stay open. */
  close(): Promise<void>
}

/**
 * Makes a page that shows queues. It reads their numbers from now on, at intervals, however many pages are open; nothing is leased
 * and nothing is written.
 *
 * @throws TypeError for an option that isn't what its documentation says
 */
export function dashboard(
  queues: TaskQueue | readonly (TaskQueue | ShownQueue)[],
  options: DashboardOptions = {},
): Dashboard {
  checkNames('options of dashboard', options, ['actions', 'hosts', 'authorize', 'path', 'intervalSeconds', 'onSignIn'])
  const intervalSeconds = checkPositive('intervalSeconds', options.intervalSeconds) ?? 2
  const settings = {
    actions: checkBoolean('actions', options.actions, false),
    hosts: checkHosts(options.hosts),
    authorize: checkFunction('authorize', options.authorize),
    path: checkPath(options.path),
    onSignIn: checkFunction('onSignIn', options.onSignIn),
  }
  const shown = (queues instanceof TaskQueue ? [queues] : queues).map(shownQueue)
  const samplers = shown.map(({ queue, deadLetter }) => new Sampler(queue, { deadLetter, intervalSeconds }))
  const handler = new Handler(samplers, settings)
  return Object.assign((request: IncomingMessage, response: ServerResponse) => void handler.handle(request, response), {
    newLink: () => `?token=${handler.access.newLink()}`,
    close: async () => {
      await handler.close()
      for (const sampler of samplers) await sampler.close()
    },
  })
}

function shownQueue(given: TaskQueue | ShownQueue): ShownQueue {
  const shown = given instanceof TaskQueue ? { queue: given } : given
  if (!(shown?.queue instanceof TaskQueue)) {
    throw argumentError('queues', 'TaskQueues, or objects { queue, deadLetter }', given)
  }
  // Names the queue, which is opened by the first reading.
  if (shown.deadLetter !== undefined && new TaskQueue(shown.deadLetter).url === shown.queue.url) {
    throw argumentError('deadLetter', 'another queue than the one itself', shown.deadLetter)
  }
  return shown
}

function checkHosts(hosts: readonly string[] | undefined): readonly string[] {
  if (hosts === undefined) return loopbackHosts
  const isHost = (host: unknown) => typeof host === 'string' && /^(?:\[[\da-f:.]+\]|[^:/[\]\s]+)$/i.test(host)
  if (!Array.isArray(hosts) || !hosts.every(isHost)) throw argumentError('hosts', 'names without a port', hosts)
  return hosts.map(host => host.toLowerCase())
}

function checkPath(path = '/'): string {
  if (typeof path !== 'string' || !path.startsWith('/')) throw argumentError('path', 'a path that begins with /', path)
  return path.replace(/\/+$/, '')
}
