// @ts-check
/** Tasks by state, some at a time, and one by its id. */
import { stateText, taskDetails } from './details.js'
import { element, foreign, setText } from './elements.js'
import { count } from './format.js'

/** @typedef {ReturnType<typeof import('../shown-task.js').shownRow>} Row */

const states = ['ready', 'leased', 'delayed', 'failed']

export class TasksView {
  #api
  /** @type {string | undefined} */
  #list
  #state = 'ready'
  #shown = 0
  #choice = element(
    'select',
    { 'aria-label': 'State' },
    ...states.map(value => element('option', { value }, stateText(value))),
  )
  #id = element('input', {
    type: 'search',
    placeholder: 'Id, or its beginning',
    'aria-label': 'Id of a task',
    spellcheck: 'false',
  })
  #note = element('p', { class: 'note', role: 'status' })
  #rows = element('tbody')
  #table = element(
    'table',
    { hidden: true },
    element(
      'thead',
      {},
      element('tr', {}, ...['Id', 'State', 'Task', 'Payload'].map(name => element('th', { scope: 'col' }, name))),
    ),
    this.#rows,
  )
  #more = element('button', { hidden: true, onclick: () => this.#load({ list: this.#list }) }, 'More')
  #details = element('div', { class: 'details' })
  element = element(
    'section',
    { class: 'card' },
    element('h2', {}, 'Tasks'),
    element(
      'div',
      { class: 'forms' },
      element(
        'form',
        { onsubmit: (/** @type {Event} */ event) => this.#start(event) },
        this.#choice,
        element('button', {}, 'List'),
      ),
      element(
        'form',
        { onsubmit: (/** @type {Event} */ event) => this.#find(event) },
        this.#id,
        element('button', {}, 'Find'),
      ),
    ),
    this.#note,
    this.#details,
    element('div', { class: 'scroll' }, this.#table),
    this.#more,
  )

  /** @param {import('./page.js').Api} api */
  constructor(api) {
    this.#api = api
  }

  /** @param {Event} event */
  #start(event) {
    event.preventDefault()
    this.#state = this.#choice.value
    this.#shown = 0
    this.#rows.replaceChildren()
    this.#table.hidden = true
    void this.#load({ state: this.#state })
  }

  /** @param {Record<string, string | undefined>} query */
  async #load(query) {
    setText(this.#note, 'Reading…')
    this.#more.hidden = true
    try {
      const { tasks, looked, list } = await this.#api.get('tasks', { ...query, state: this.#state })
      this.#list = list
      this.#shown += tasks.length
      this.#rows.append(...tasks.map((/** @type {Row} */ task) => this.#row(task)))
      this.#table.hidden = this.#shown === 0
      this.#more.hidden = list === undefined
      const among = looked === this.#shown ? '' : ` among the first ${count(looked)} of the queue`
      setText(
        this.#note,
        `${count(this.#shown)} shown${among}, in no particular order.${list === undefined ? ' That is all.' : ''}`,
      )
    } catch (error) {
      setText(this.#note, error instanceof Error ? error.message : String(error))
    }
  }

  /** @param {Row} task */
  #row(task) {
    const show = () => {
      this.#id.value = task.id
      void this.#show(task.id)
    }
    return element(
      'tr',
      {},
      element(
        'td',
        {},
        element('button', { class: 'link', onclick: show, 'aria-label': `Show task ${task.id}` }, task.id.slice(0, 8)),
      ),
      element('td', {}, stateText(task.state, task.availableInSeconds)),
      element('td', {}, foreign(task.name)),
      element('td', { class: 'payload' }, foreign(task.payload)),
    )
  }

  /** @param {Event} event */
  #find(event) {
    event.preventDefault()
    if (this.#id.value.trim() !== '') void this.#show(this.#id.value.trim())
  }

  /** @param {string} id */
  async #show(id) {
    try {
      this.#details.replaceChildren(taskDetails(await this.#api.get('task', { id })))
      setText(this.#note, '')
    } catch (error) {
      this.#details.replaceChildren()
      setText(this.#note, error instanceof Error ? error.message : String(error))
    }
  }
}
