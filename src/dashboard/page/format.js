// @ts-check
/** Numbers and times for people. */

const whole = new Intl.NumberFormat('en-US')

/** @param {number | null | undefined} value `null`: not known */
export function count(value) {
  return value === null || value === undefined ? '–' : whole.format(value)
}

/** @param {number} perSecond */
export function rate(perSecond) {
  return perSecond >= 10 ? `${whole.format(Math.round(perSecond))}/s` : `${perSecond.toFixed(1)}/s`
}

/** @param {number} fraction */
export function percent(fraction) {
  // Not done before it is done.
  return `${(Math.floor(fraction * 1000) / 10).toFixed(1)} %`
}

/**
 * e.g. `5s`, `3m 20s`, `2h 05m`, `4d 03h`
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const all = Math.max(0, Math.round(seconds))
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0')
  if (all < 60) return `${all}s`
  if (all < 3600) return `${Math.floor(all / 60)}m ${two(all % 60)}s`
  if (all < 86_400) return `${Math.floor(all / 3600)}h ${two(Math.floor((all % 3600) / 60))}m`
  return `${Math.floor(all / 86_400)}d ${two(Math.floor((all % 86_400) / 3600))}h`
}

/** @param {number} milliseconds since 1970 */
export function dateTime(milliseconds) {
  const date = new Date(milliseconds)
  return Number.isNaN(date.getTime()) ? 'at an unknown time' : date.toLocaleString()
}

/**
 * @param {number} number
 * @param {string} singular
 */
export function counted(number, singular) {
  return `${count(number)} ${singular}${number === 1 ? '' : 's'}`
}
