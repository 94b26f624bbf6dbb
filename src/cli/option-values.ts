/** Options for yargs, with errors that name the option as typed. */
import { textOf } from './raw-arguments.js'
import { UsageError } from './usage-error.js'

/** The numbers that an option takes. Default: those of 0 or more. */
export interface NumberLimits {
  readonly integer?: boolean
  readonly min?: number
  readonly max?: number
}

/** A number. @param option the option as it is written, e.g. `--limit` */
export function numberOption(option: string, describe: string, limits: NumberLimits = {}) {
  return { type: 'number', requiresArg: true, coerce: numberIn(option, limits), describe } as const
}

/** Checks a number. Errors show the text as it was typed. */
export function numberIn(
  option: string,
  { integer = false, min = 0, max = Number.POSITIVE_INFINITY }: NumberLimits = {},
): (value: unknown) => number | undefined {
  return value => {
    if (value === undefined) return undefined
    if (Array.isArray(value)) throw givenTwice(option)
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
    const fits = typeof number === 'number' && Number.isFinite(number) && number >= min && number <= max
    if (fits && (!integer || Number.isSafeInteger(number))) return number
    const least = min === 0 ? '0 or more' : min === Number.MIN_VALUE ? 'more than 0' : `${min} or more`
    const range = max === Number.POSITIVE_INFINITY ? `of ${least}` : `from ${min} to ${max}`
    const text = typeof value === 'string' ? value : textOf([option, option.replace(/-(?:sec|mb)$/, '')], process.argv)
    throw new UsageError(`Expected ${option} to be ${integer ? 'an integer' : 'a number'} ${range}, got ${text}`)
  }
}

/** A text that may be given once. */
export function textOption(option: string, describe: string) {
  return { type: 'string', requiresArg: true, coerce: singleText(option), describe } as const
}

/** Checks that an option was given once. */
export function singleText(option: string): (text: unknown) => string | undefined {
  return text => {
    if (text === undefined || typeof text === 'string') return text
    throw givenTwice(option)
  }
}

function givenTwice(option: string): UsageError {
  return new UsageError(`Expected ${option} once, got it several times`)
}
