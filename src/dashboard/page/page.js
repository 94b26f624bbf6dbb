// @ts-check
/** The page: opens the stream of samples and shows each queue. */
import { Actions } from './actions.js'
import { Charts } from './charts.js'
import { byId, element, foreign, setText } from './elements.js'
import { FailuresView } from './failures.js'
import { count, duration, percent, rate } from './format.js'
import { TasksView } from './tasks.js'
import { WorkersView } from './workers.js'

/** @typedef {ReturnType<typeof import('../shown-sample.js').shownSample>} Sample */
/** @typedef {{ url: string, name: string, deadLetter?: string }} Queue */

/** Requests about one queue. */
export class Api {
  #index

  /** @param {number} index */
  constructor(index) {
    this.#index = index
  }

  /**
   * @param {string} path
   * @param {Record<string, string | undefined>} [query]
   * @returns {Promise<any>}
   */
  get(path, query = {}) {
    return answer(fetch(this.#url(path, query)))
  }

  /**
   * @param {string} action
   * @param {object} body
   * @returns {Promise<any>}
   */
  post(action, body) {
    const headers = { 'Content-Type': 'application/json' }
    return answer(fetch(this.#url(`do/${action}`, {}), { method: 'POST', headers, body: JSON.stringify(body) }))
  }

  /**
   * @param {string} path
   * @param {Record<string, string | undefined>} query
   */
  #url(path, query) {
    const parameters = new URLSearchParams({ queue: String(this.#index) })
    for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value)
    return `${path}?${parameters}`
  }
}

/** @param {Promise<Response>} request */
async function answer(request) {
  const response = await request.catch(() => {
    throw new Error('The server does not answer')
  })
  if (!response.ok) throw new Error((await response.text()).trim() || `The server answered ${response.status}`)
  return response.json()
}

const tiles = /** @type {const} */ ([
  ['waiting', 'Waiting'],
  ['running', 'Running'],
  ['delayed', 'Delayed'],
  ['done', 'Done'],
  ['failed', 'Failed'],
])

class QueueView {
  #values = tiles.map(([name]) => element('dd', { class: name }, '–'))
  #bar = element('progress', { max: 1, class: 'overall', 'aria-label': 'Done' })
  #line = element('p', { class: 'summary' })
  #problem = element('p', { class: 'problem', role: 'alert', hidden: true })
  #notes = element('p', { class: 'note' })
  #charts = new Charts()
  #workers = new WorkersView()
  #failures
  #numbers = element(
    'section',
    { class: 'card numbers', 'aria-label': 'Numbers' },
    element(
      'dl',
      {},
      ...tiles.map(([, label], index) => element('div', {}, element('dt', {}, label), this.#values[index])),
    ),
    this.#bar,
    this.#line,
    this.#notes,
  )
  #tabCounts = element('span', { class: 'muted' })

  /**
   * @param {Queue} queue
   * @param {number} index
   * @param {boolean} hasActions
   * @param {() => void} select
   */
  constructor(queue, index, hasActions, select) {
    const api = new Api(index)
    const actions = hasActions ? new Actions(api, queue.url) : undefined
    this.#failures = new FailuresView(api, actions)
    this.tab = element('button', { onclick: select, title: queue.url }, foreign(queue.name), ' ', this.#tabCounts)
    this.element = element(
      'div',
      { class: 'queue', hidden: true },
      element('p', { class: 'url' }, foreign(queue.url)),
      this.#problem,
      this.#numbers,
      element('section', { class: 'card', 'aria-label': 'Charts' }, this.#charts.element),
      this.#workers.element,
      this.#failures.element,
      new TasksView(api).element,
      actions?.element,
    )
  }

  /** @param {boolean} isSelected */
  show(isSelected) {
    this.element.hidden = !isSelected
    if (isSelected) this.tab.setAttribute('aria-current', 'page')
    else this.tab.removeAttribute('aria-current')
    if (isSelected) this.#charts.draw()
  }

  /** @param {readonly import('../count-history.js').Point[]} points */
  reset(points) {
    this.#charts.reset(points)
  }

  /** @param {Sample & { point?: import('../count-history.js').Point }} sample */
  update({ counts, problem, isMissing, tasksPerSecond, workers, point }) {
    this.#problem.hidden = problem === undefined
    this.#problem.classList.toggle('missing', isMissing)
    setText(this.#problem, problem ?? '')
    if (point !== undefined) this.#charts.add(point)
    setText(this.#tabCounts, counts === undefined ? 'not there' : `${count(counts.enqueued)} left`)
    const done = counts === undefined ? null : doneOf(counts)
    const shown = counts && { ...counts, done }
    for (const [index, [name]] of tiles.entries()) {
      const value = this.#values[index]
      if (value !== undefined) setText(value, count(shown?.[name] ?? null))
    }
    this.#values.at(-1)?.classList.toggle('some', (counts?.failed ?? 0) > 0)
    if (counts === undefined) {
      this.#bar.removeAttribute('value')
      this.#bar.hidden = true
      setText(this.#line, '')
      setText(this.#notes, '')
      return
    }
    const fraction = done !== null && (counts.inserted ?? 0) > 0 ? Math.min(1, done / counts.inserted) : undefined
    this.#bar.hidden = fraction === undefined
    if (fraction !== undefined) this.#bar.value = fraction
    setText(this.#line, summary(counts.enqueued, fraction, tasksPerSecond))
    setText(this.#notes, notesOf(counts))
    this.#failures.update(counts.failed)
    this.#workers.update(workers)
  }
}

/**
 * Tallied completions; where workers don't tally, the tasks that left the queue otherwise than as dead letters.
 *
 * @param {NonNullable<Sample['counts']>} counts
 */
function doneOf({ completed, gone }) {
  if (completed === 0 && gone > 0) return gone
  return completed ?? null
}

/**
 * @param {number} enqueued
 * @param {number | undefined} fraction
 * @param {number | undefined} tasksPerSecond
 */
function summary(enqueued, fraction, tasksPerSecond) {
  const parts = [fraction === undefined ? undefined : `${percent(fraction)} done`]
  if (enqueued === 0) parts.push('the queue is empty')
  else if (tasksPerSecond !== undefined) {
    parts.push(rate(tasksPerSecond))
    parts.push(tasksPerSecond > 0 ? `${duration(enqueued / tasksPerSecond)} left` : 'no end in sight')
  }
  return parts.filter(part => part !== undefined).join(' · ')
}

/** @param {NonNullable<Sample['counts']>} counts */
function notesOf({ approximate, enqueued, messages, inserted, completed, gone, quarantined, foreign: others }) {
  const notes = [
    approximate && 'These counts are approximate.',
    messages !== undefined && messages < enqueued && `${count(enqueued)} tasks are in ${count(messages)} messages.`,
    inserted === null && 'This queue does not count inserted and completed tasks.',
    completed === 0 && gone > 0 && 'Workers don’t tally: done is what has left the queue.',
    quarantined > 0 && `${count(quarantined)} messages were set aside because they are no tasks.`,
    others > 0 && `${count(others)} files in the queue are no messages.`,
  ]
  return notes.filter(Boolean).join(' ')
}

async function start() {
  const { queues, actions } = await answer(fetch('queues'))
  let selected = 0
  const select = (/** @type {number} */ index) => {
    selected = index
    for (const [each, view] of views.entries()) view.show(each === selected)
    setText(byId('title'), queues[selected]?.name ?? 'ptq')
    document.title = `${queues[selected]?.name ?? ''} · ptq`
  }
  /** @type {QueueView[]} */
  const views = queues.map(
    (/** @type {Queue} */ queue, /** @type {number} */ index) =>
      new QueueView(queue, index, actions, () => select(index)),
  )
  byId('main').append(...views.map(({ element: each }) => each))
  byId('queues').append(...views.map(({ tab }) => tab))
  byId('queues').hidden = views.length < 2
  select(0)
  const events = new EventSource('events')
  const connection = byId('connection')
  events.addEventListener('open', () => {
    setText(connection, 'Live')
    connection.className = 'live'
  })
  events.addEventListener('error', () => {
    const isClosed = events.readyState === EventSource.CLOSED
    setText(connection, isClosed ? 'Not connected: reload this page' : 'The server does not answer; trying again…')
    connection.className = 'lost'
  })
  events.addEventListener('history', ({ data }) => {
    const { queue, points } = JSON.parse(data)
    views[queue]?.reset(points)
  })
  events.addEventListener('sample', ({ data }) => {
    const sample = JSON.parse(data)
    views[sample.queue]?.update(sample)
  })
}

start().catch(error => {
  setText(byId('connection'), error instanceof Error ? error.message : String(error))
  byId('connection').className = 'lost'
})
