// @ts-check
/** Failures by reason, opened into examples. */
import { taskDetails } from './details.js'
import { element, foreign, keyed, setText } from './elements.js'
import { count, counted } from './format.js'

/** @typedef {import('../failure-report.js').FailureReport} Report */
/** @typedef {Report['groups'][number]} Group */

/** So many are read without being asked for: reading takes a file or a request each. */
const readUnasked = 2_000

export class FailuresView {
  #api
  #actions
  /** @type {number | undefined} */
  #failed
  /** @type {Report | undefined} */
  #report
  #reading = false
  #title = element('h2', {}, 'Failures')
  #note = element('p', { class: 'note', role: 'status' })
  #read = element('button', { onclick: () => this.#load() }, 'Read them')
  #retryAll = element('button', { onclick: () => this.#retry(undefined, this.#failed ?? 0) }, 'Retry all')
  #groups = element('div', { class: 'groups' })
  element = element(
    'section',
    { class: 'card' },
    element('header', {}, this.#title, element('span', { class: 'buttons' }, this.#read, this.#retryAll)),
    this.#note,
    this.#groups,
  )

  /**
   * @param {import('./page.js').Api} api
   * @param {import('./actions.js').Actions | undefined} actions
   */
  constructor(api, actions) {
    this.#api = api
    this.#actions = actions
  }

  /** @param {number | null | undefined} failed */
  update(failed) {
    const known = failed ?? undefined
    if (known === this.#failed && known !== undefined) return
    this.#failed = known
    if (known !== undefined && known > 0 && known <= readUnasked && this.#report === undefined) void this.#load()
    this.#show()
  }

  #show() {
    const failed = this.#failed
    setText(this.#title, failed === undefined ? 'Failures' : `Failures: ${count(failed)}`)
    this.#read.hidden = failed === undefined || failed === 0 || this.#reading
    this.#retryAll.hidden = this.#actions === undefined || failed === undefined || failed === 0
    setText(this.#read, this.#report === undefined ? 'Group by reason' : 'Read again')
    if (this.#reading) setText(this.#note, 'Reading…')
    else if (failed === undefined) setText(this.#note, 'This queue has no place for dead letters.')
    else if (failed === 0) setText(this.#note, 'No task has failed for good.')
    else if (this.#report === undefined) setText(this.#note, 'Tasks that failed too often. They are read when you ask.')
    else {
      const { total, moreGroups } = this.#report
      const since = failed === total ? '' : ` There were ${count(total)} when they were read.`
      const more = moreGroups > 0 ? ` ${counted(moreGroups, 'more reason')} not shown.` : ''
      setText(this.#note, `Tasks that failed too often, by their last reason.${since}${more}`)
    }
    keyed(
      this.#groups,
      (failed ?? 0) > 0 ? (this.#report?.groups ?? []) : [],
      group => group.reason,
      group => this.#row(group),
    )
  }

  async #load() {
    this.#reading = true
    this.#show()
    try {
      this.#report = await this.#api.get('failures')
      this.#reading = false
      this.#show()
    } catch (error) {
      this.#reading = false
      this.#show()
      setText(this.#note, String(error instanceof Error ? error.message : error))
    }
  }

  /** @param {Group} group */
  #row(group) {
    const number = element('span', { class: 'count' })
    const examples = element('div', { class: 'examples' })
    const isRetryable = this.#actions !== undefined && !group.isOther
    const retry = element('button', { hidden: !isRetryable, onclick: () => this.#retry(group, group.count) }, 'Retry')
    const details = element(
      'details',
      { ontoggle: () => details.open && examples.childElementCount === 0 && this.#showExamples(group, examples) },
      element('summary', {}, number, ' ', foreign(group.text, 'reason')),
      examples,
    )
    const row = element('div', { class: 'group' }, details, retry)
    return Object.assign(row, {
      update: (/** @type {Group} */ now) => {
        setText(number, count(now.count))
        group = now
        retry.setAttribute('aria-label', `Retry ${counted(now.count, 'task')}: ${now.text}`)
      },
    })
  }

  /**
   * @param {Group} group
   * @param {HTMLElement} place
   */
  async #showExamples(group, place) {
    place.append(element('p', { class: 'note' }, `${counted(group.ids.length, 'example')} of ${count(group.count)}`))
    for (const id of group.ids) {
      try {
        place.append(taskDetails(await this.#api.get('task', { id, state: 'failed' })))
      } catch {
        place.append(element('p', { class: 'note' }, `${id} is no dead letter any more.`))
      }
    }
  }

  /**
   * @param {Group | undefined} group `undefined`: all
   * @param {number} failed
   */
  async #retry(group, failed) {
    const isDone = await this.#actions?.run('retry', group === undefined ? {} : { group: group.reason }, {
      title: `Retry ${counted(failed, 'task')}?`,
      text: group === undefined ? 'All dead letters go back into the queue.' : group.text,
      confirm: 'Retry',
    })
    if (isDone) await this.#load()
  }
}
