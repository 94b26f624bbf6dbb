/** Answers the requests of pages. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isErrorNamed, nameAndMessageOf } from '../errors/thrown.js'
import { metricsContentType, metricsText } from '../metrics/exposition.js'
import { processMetrics } from '../metrics/process-metrics.js'
import { queueMetrics } from '../metrics/queue-metrics.js'
import { printable } from '../text/printable.js'
import { Access, type AccessOptions } from './access.js'
import { actions } from './actions.js'
import { RequestError, readJson, secure, send, sendJson, sendText } from './answers.js'
import { EventStreams } from './event-streams.js'
import { FailureReports } from './failure-report.js'
import { type PageFile, readPageFiles } from './page-files.js'
import type { Sampler } from './sampler.js'
import { shownRow, shownTask } from './shown-task.js'
import { type ListState, listStates, TaskLists } from './task-lists.js'

interface ShownQueue {
  readonly sampler: Sampler
  readonly failures: FailureReports
  readonly lists: TaskLists
}

export interface HandlerOptions extends AccessOptions {
  /** Path of the page where the server passes whole URLs, without a slash at its end. */
  readonly path: string
  /** Called when a browser was signed in by a link. */
  readonly onSignIn: (() => void) | undefined
}

export class Handler {
  readonly access: Access
  readonly #options: HandlerOptions
  readonly #queues: readonly ShownQueue[]
  readonly #streams: EventStreams
  readonly #files: ReadonlyMap<string, PageFile>

  constructor(samplers: readonly Sampler[], options: HandlerOptions) {
    this.#options = options
    this.access = new Access(options)
    this.#queues = samplers.map(sampler => ({
      sampler,
      failures: new FailureReports(sampler),
      lists: new TaskLists(sampler),
    }))
    this.#streams = new EventStreams(samplers)
    this.#files = readPageFiles()
  }

  async close(): Promise<void> {
    this.#streams.close()
    for (const { lists } of this.#queues) await lists.close()
  }

  /** Answers a request; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    secure(response)
    try {
      await this.#answer(request, response)
    } catch (error) {
      if (response.headersSent) {
        response.destroy()
        return
      }
      // What a queue can't do, or refuses, is no fault of the page.
      const status =
        error instanceof RequestError ? error.status : isErrorNamed(error, 'UnsupportedOperationError') ? 501 : 500
      sendText(response, status, printable(error instanceof RequestError ? error.message : nameAndMessageOf(error)))
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = urlOf(request)
    const route = this.#routeOf(url.pathname)
    const isPage = route === '' || route === undefined
    const foreign = this.access.refuseForeign(request, { isPage })
    if (foreign !== undefined) return sendText(response, foreign.status, foreign.reason)
    if (route === undefined) return sendText(response, 404, 'There is nothing here')
    if (isPage && this.#redirect(request, url, response)) return undefined
    const token = url.searchParams.get('token')
    // Not by HEAD: what looks at links before someone opens them must not use this one up.
    if (isPage && token !== null && request.method === 'GET') return this.#signIn(request, response, token)
    if (route === 'metrics') return send(response, 200, metricsContentType, this.#metrics())
    const stranger = await this.access.refuseStranger(request)
    if (stranger !== undefined) return this.#sendSignIn(response, stranger.status)
    if (route.startsWith('do/')) return this.#act(request, response, url, route.slice('do/'.length))
    if (request.method !== 'GET' && request.method !== 'HEAD') return sendText(response, 405, 'Expected GET')
    return this.#show(request, response, url, route)
  }

  async #show(request: IncomingMessage, response: ServerResponse, url: URL, route: string): Promise<void> {
    const file = this.#files.get(route === '' ? 'index.html' : route)
    if (file !== undefined) return send(response, 200, file.type, file.body)
    switch (route) {
      case 'queues':
        return sendJson(response, this.#description())
      case 'events':
        return this.#streams.open(request, response)
      case 'failures':
        return sendJson(response, await this.#queueOf(url).failures.read())
      case 'tasks':
        return sendJson(response, await this.#tasks(url))
      case 'task':
        return sendJson(response, await this.#task(url))
      default:
        return sendText(response, 404, 'There is nothing here')
    }
  }

  async #act(request: IncomingMessage, response: ServerResponse, url: URL, name: string): Promise<void> {
    const refusal = this.access.refuseAction(request)
    if (refusal !== undefined) return sendText(response, refusal.status, refusal.reason)
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined
    if (action === undefined) return sendText(response, 404, 'There is no such action')
    const { sampler, failures } = this.#queueOf(url)
    try {
      sendJson(response, { done: await action(sampler, await readJson(request)) })
    } finally {
      failures.invalidate()
      sampler.refresh()
    }
  }

  /** The part of a path below the page; `undefined` where it isn't below. */
  #routeOf(pathname: string): string | undefined {
    const { path } = this.#options
    if (pathname === path) return ''
    return pathname.startsWith(`${path}/`) ? pathname.slice(path.length + 1) : undefined
  }

  /** The page's own URLs are relative: its path has to end with a slash. */
  #redirect(request: IncomingMessage, url: URL, response: ServerResponse): boolean {
    // Express and the like cut the path off, and keep it here.
    const { originalUrl } = request as { originalUrl?: unknown }
    const { pathname } = typeof originalUrl === 'string' ? new URL(originalUrl, 'http://page') : url
    if (pathname.endsWith('/')) return false
    const name = pathname.slice(pathname.lastIndexOf('/') + 1)
    response.writeHead(308, { Location: `./${name}/${url.search}` }).end()
    return true
  }

  #signIn(request: IncomingMessage, response: ServerResponse, token: string): void {
    const session = this.access.signIn(token)
    if (session === undefined) {
      this.#sendSignIn(response, 401)
      return
    }
    const { originalUrl } = request as { originalUrl?: unknown }
    const whole = new URL(typeof originalUrl === 'string' ? originalUrl : (request.url ?? '/'), 'http://page')
    response.setHeader('Set-Cookie', this.access.cookie(request, session, whole.pathname))
    // No redirect: where the link was opened from another site, a strict cookie would not be sent with the next request.
    response.setHeader('Refresh', '0; url=./')
    sendText(response, 200, 'Signed in')
    this.#options.onSignIn?.()
  }

  #sendSignIn(response: ServerResponse, status: number): void {
    sendText(
      response,
      status,
      this.#options.authorize === undefined
        ? 'Not signed in, or the link was used before. Open the newest link that was printed where this page was started.'
        : 'You may not see this page.',
    )
  }

  #description() {
    return {
      actions: this.#options.actions,
      queues: this.#queues.map(({ sampler: { queue, deadLetter } }) => ({
        url: queue.url,
        name: queue.url.split('/').filter(Boolean).at(-1) ?? queue.url,
        deadLetter,
      })),
    }
  }

  #metrics(): string {
    const numbers = this.#queues.flatMap(({ sampler: { queue, last } }) =>
      last === undefined ? [] : [{ url: queue.url, ...last }],
    )
    return metricsText([...queueMetrics(numbers, Date.now()), ...processMetrics()])
  }

  #queueOf(url: URL): ShownQueue {
    const queue = this.#queues[Number(url.searchParams.get('queue') ?? Number.NaN)]
    if (queue === undefined) throw new RequestError(404, 'There is no such queue')
    return queue
  }

  async #tasks(url: URL) {
    const { lists } = this.#queueOf(url)
    const list = url.searchParams.get('list')
    const state = url.searchParams.get('state')
    const page = await (list === null ? lists.open(requireState(state)) : lists.more(list))
    return { ...page, tasks: page.tasks.map(task => ({ ...shownRow(task), ...(state === 'failed' && { state }) })) }
  }

  async #task(url: URL) {
    const { queue, place } = this.#queueOf(url).sampler
    const id = url.searchParams.get('id')?.trim() ?? ''
    if (id === '') throw new RequestError(400, 'Expected the id of a task')
    const task = url.searchParams.get('state') === 'failed' ? undefined : await queue.find(id)
    if (task !== undefined) return shownTask(task, task.state)
    const letter = await queue.findFailure(id, place)
    if (letter === undefined) throw new RequestError(404, `There is no task ${id} in the queue or its dead letters`)
    return shownTask(letter, 'failed')
  }
}

function urlOf({ url = '/' }: IncomingMessage): URL {
  try {
    return new URL(url, 'http://page')
  } catch (cause) {
    throw new RequestError(400, 'Expected a URL', { cause })
  }
}

function requireState(text: string | null): ListState {
  const state = listStates.find(each => each === text)
  if (state === undefined) throw new RequestError(400, `Expected a state, one of ${listStates.join(', ')}`)
  return state
}
