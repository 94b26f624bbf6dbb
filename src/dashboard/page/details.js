// @ts-check
/** One task with its payload and failures. */
import { element, foreign } from './elements.js'
import { dateTime, duration } from './format.js'

/** @typedef {ReturnType<typeof import('../shown-task.js').shownTask>} Task */

/** @type {Record<string, string>} */
const words = { ready: 'waiting', leased: 'running', delayed: 'delayed', failed: 'failed' }

/**
 * A state in the words of the page.
 *
 * @param {string} state
 * @param {number} [seconds] until it may be leased
 */
export function stateText(state, seconds) {
  const when = seconds === undefined || state === 'failed' ? '' : ` for ${duration(seconds)}`
  const lease = state === 'leased' && when !== '' ? ', leased' : ''
  return `${words[state] ?? state}${lease}${when}`
}

/**
 * One task with its payload and failures.
 *
 * @param {Task} task
 */
export function taskDetails({ id, name, state, availableInSeconds, payload, failures }) {
  return element(
    'article',
    { class: 'task' },
    element('h3', {}, foreign(name)),
    element('p', { class: 'muted' }, `${id} · ${stateText(state, availableInSeconds)}`),
    element('pre', { tabindex: 0, 'aria-label': 'Payload' }, payload),
    failures.length > 0 && element('ol', { class: 'failures' }, ...failures.map(failureEntry)),
  )
}

/**
 * @param {Task['failures'][number]} failure
 */
function failureEntry({ attempt, reason, host, pid, failedAtMs, durationSeconds, stack }) {
  return element(
    'li',
    {},
    foreign(reason, 'reason'),
    element(
      'p',
      { class: 'muted' },
      `Attempt ${attempt}, ${dateTime(failedAtMs)}, on `,
      foreign(host),
      ` process ${pid}, after ${durationSeconds.toFixed(1)} s`,
    ),
    stack !== undefined &&
      element(
        'details',
        {},
        element('summary', {}, 'Stack'),
        element('pre', { tabindex: 0, 'aria-label': 'Stack' }, stack),
      ),
  )
}
