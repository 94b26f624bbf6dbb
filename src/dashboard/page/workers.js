// @ts-check
/** The table of workers and their running tasks. */
import { element, foreign, keyed, setText } from './elements.js'
import { count, counted, duration, percent, rate } from './format.js'

/** @typedef {NonNullable<ReturnType<typeof import('../shown-sample.js').shownSample>['workers']>} Workers */
/** @typedef {Workers['shown'][number]} Worker */
/** @typedef {Worker['running'][number]} Running */

export class WorkersView {
  #title = element('h2', {}, 'Workers')
  #note = element('p', { class: 'note' })
  #rows = element('div', { class: 'workers' })
  element = element('section', { class: 'card' }, this.#title, this.#note, this.#rows)

  /** @param {Workers | undefined} workers */
  update(workers) {
    if (workers === undefined) {
      setText(this.#title, 'Workers')
      setText(this.#note, 'A queue of this kind can’t hold what its workers do. Ask them for their metrics.')
      this.#rows.replaceChildren()
      return
    }
    const { alive, silent, threads, shown } = workers
    setText(this.#title, `Workers: ${count(alive)}${silent > 0 ? `, and ${count(silent)} silent` : ''}`)
    const more = alive + silent - shown.length
    const notes = [
      alive === 0 && silent === 0 ? 'No worker on this queue.' : `${counted(threads, 'thread')} in all.`,
      more > 0 ? `${counted(more, 'more worker')} not shown.` : '',
    ]
    setText(this.#note, notes.filter(Boolean).join(' '))
    keyed(this.#rows, shown, worker => worker.key, workerRow)
  }
}

/** @param {Worker} worker */
function workerRow(worker) {
  const host = foreign(worker.host, 'host')
  const state = element('span', { class: 'state' })
  const facts = element('span', { class: 'facts' })
  const tasks = element('ul', { class: 'tasks' })
  const row = element(
    'article',
    { class: 'worker', 'aria-label': `Worker ${worker.host} process ${worker.pid}` },
    element('p', {}, host, element('span', { class: 'muted' }, ` process ${worker.pid} `), state),
    facts,
    tasks,
  )
  return Object.assign(row, {
    update: (/** @type {Worker} */ now) => {
      row.classList.toggle('silent', now.isSilent)
      const silence = `silent for ${duration(now.silentSeconds)}`
      setText(state, !now.isSilent ? 'working' : now.hasEnded ? `${silence}, its process has ended` : silence)
      setText(
        facts,
        [
          counted(now.threads, 'thread'),
          `up ${duration(now.upSeconds)}`,
          `${count(Math.round(now.rssMb))} MB`,
          rate(now.tasksPerSecond ?? 0),
          `${count(now.executed)} executed`,
          `${count(now.failed)} failed`,
        ].join(' · '),
      )
      /** @type {(Running | { id: string, more: number })[]} */
      const items = [...now.running]
      const more = now.runningCount - now.running.length
      if (more > 0) items.push({ id: '…', more })
      keyed(tasks, items, task => task.id, taskRow)
    },
  })
}

/** @param {Running | { id: string, more: number }} task */
function taskRow(task) {
  if ('more' in task) {
    const row = element('li', { class: 'muted' })
    return Object.assign(row, {
      update: (/** @type {any} */ { more }) => setText(row, `and ${counted(more, 'more task')}`),
    })
  }
  const facts = element('span', { class: 'muted' })
  const bar = element('progress', { max: 1, 'aria-label': `Progress of ${task.name}` })
  const note = foreign('', 'muted')
  const row = element('li', {}, foreign(task.name), ' ', facts, bar, ' ', note)
  return Object.assign(row, {
    update: (/** @type {any} */ { id, ageSeconds, fraction, note: text }) => {
      const part = typeof fraction === 'number' ? ` · ${percent(fraction)}` : ''
      setText(facts, `${id.slice(0, 8)} · ${duration(ageSeconds)}${part} `)
      bar.hidden = typeof fraction !== 'number'
      if (typeof fraction === 'number') bar.value = fraction
      setText(note, text ?? '')
    },
  })
}
