/** From the text of an option to its value; yargs names the option in what these throw. */
import { UsageError } from './usage-error.js'

/** Reads a number. @param option the option as it is written, e.g. `--limit` */
export function numberOption(option: string, { integer = false, min = 0 } = {}): (text: unknown) => number | undefined {
  return text => {
    if (text === undefined) return undefined
    const single = singleOption(option)(text)
    const value = single?.trim() === '' ? Number.NaN : Number(single)
    if (Number.isFinite(value) && value >= min && (!integer || Number.isSafeInteger(value))) return value
    const least = min === 0 ? '0 or more' : min === Number.MIN_VALUE ? 'more than 0' : `${min} or more`
    throw new UsageError(`Expected ${option} to be ${integer ? 'an integer' : 'a number'} of ${least}, got ${single}`)
  }
}

/** A text that may be given once. */
export function singleOption(option: string): (text: unknown) => string | undefined {
  return text => {
    if (text === undefined || typeof text === 'string') return text
    throw new UsageError(`Expected ${option} once, got it several times`)
  }
}
