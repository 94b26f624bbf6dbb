// @ts-check
/** Actions on a queue; each asks first and says what it did. */
import { ask, element, setText } from './elements.js'

export class Actions {
  #api
  #url
  #result = element('p', { class: 'result', role: 'status' })
  #lines = element('textarea', {
    rows: 3,
    spellcheck: 'false',
    'aria-label': 'Payloads, one a line',
    placeholder: '[["tasks","hash"],["a.txt"],{},-1]',
  })
  element = element(
    'section',
    { class: 'card' },
    element('h2', {}, 'Actions'),
    element(
      'form',
      { class: 'insert', onsubmit: (/** @type {Event} */ event) => this.#insert(event) },
      this.#lines,
      element('button', {}, 'Insert'),
    ),
    element(
      'p',
      { class: 'buttons' },
      element('button', { onclick: () => this.#release() }, 'Release running tasks'),
      element('button', { class: 'danger', onclick: () => this.#purge() }, 'Delete all tasks'),
    ),
    this.#result,
  )

  /**
   * @param {import('./page.js').Api} api
   * @param {string} url the queue's
   */
  constructor(api, url) {
    this.#api = api
    this.#url = url
  }

  /**
   * Runs an action after a question.
   *
   * @param {string} name
   * @param {object} body
   * @param {Parameters<typeof ask>[0]} [question]
   * @returns {Promise<boolean>} true if it was done
   */
  async run(name, body, question) {
    if (question !== undefined && !(await ask(question))) return false
    setText(this.#result, 'Working…')
    try {
      const { done } = await this.#api.post(name, body)
      setText(this.#result, `${done}.`)
      return true
    } catch (error) {
      setText(this.#result, error instanceof Error ? error.message : String(error))
      return false
    } finally {
      this.#result.scrollIntoView({ block: 'nearest' })
    }
  }

  /** @param {Event} event */
  async #insert(event) {
    event.preventDefault()
    if (await this.run('insert', { lines: this.#lines.value })) this.#lines.value = ''
  }

  #release() {
    return this.run(
      'release',
      {},
      {
        title: 'Release running tasks?',
        text: 'Only when all workers are known to be dead: tasks that still run would run twice.',
        confirm: 'Release',
      },
    )
  }

  #purge() {
    return this.run(
      'purge',
      { confirm: this.#url },
      {
        title: 'Delete all tasks?',
        text: 'Waiting, running and delayed tasks are deleted, and the counts set to 0. Dead letters stay.',
        confirm: 'Delete',
        typed: this.#url,
      },
    )
  }
}
