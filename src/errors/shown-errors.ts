/** The printed form of this package's errors: in `error.stack`, by `console.log` and for an uncaught one. */
import { inspect } from 'node:util'
import { type CallSite, linesOf } from './call-site.js'
import { isInstanceOf, nameAndMessageOf, stackOf } from './thrown.js'

/** Number of an AggregateError's errors that are printed. */
const printedErrors = 3

const maxArgumentLength = 60
const maxArguments = 8

/** The parts that {@link showInstead} prints besides the name and message of the error. */
export interface ShownError {
  readonly caller: CallSite | undefined
  /** The failed call, as {@link shownCall} writes it. Formatted on demand: most errors are never printed. */
  readonly call?: (() => string) | undefined
  /** Properties to print below. */
  readonly properties?: Readonly<Record<string, unknown>>
}

/** Lets an error print the caller's lines, its call and its causes, and no line of this package. */
export function showInstead(error: Error, shown: ShownError): void {
  const head = () => {
    const call = shown.call?.()
    const lines = [`${error.name}: ${error.message}`, ...(call === undefined ? [] : [`  in ${call}`])]
    return [...lines, ...linesOf(shown.caller)].join('\n')
  }
  let stack: string | undefined
  Object.defineProperty(error, 'stack', {
    get: () => {
      stack ??= head() + causesBelow(error)
      return stack
    },
    set: (value: string) => {
      stack = value
    },
    configurable: true,
    enumerable: false,
  })
  let printed: Error | undefined
  Object.defineProperty(error, inspect.custom, {
    value: () => {
      // Always the same object, so that a cycle of causes ends.
      printed ??= printedForm(error, head(), shown.properties)
      return printed
    },
    configurable: true,
    enumerable: false,
  })
}

function causesBelow(error: Error): string {
  const errors: readonly unknown[] = isInstanceOf(error, AggregateError) ? error.errors : []
  const listed = errors.slice(0, printedErrors).map(each => `\n  - ${indented(nameAndMessageOf(each))}`)
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`
  return listed.join('') + andMore(errors.length) + cause
}

function printedForm(error: Error, stack: string, properties: object = {}): Error {
  const errors: readonly unknown[] | undefined = isInstanceOf(error, AggregateError) ? error.errors : undefined
  const { cause } = error
  const options = 'cause' in error ? { cause } : undefined
  const form =
    errors === undefined
      ? new Error(error.message, options)
      : new AggregateError(errors.slice(0, printedErrors), error.message, options)
  // Its class is printed too.
  Object.setPrototypeOf(form, Object.getPrototypeOf(error))
  const hidden = (value: string) => ({ value, configurable: true, enumerable: false })
  Object.defineProperty(form, 'name', hidden(error.name))
  Object.defineProperty(form, 'stack', hidden(stack + andMore(errors?.length ?? 0)))
  return Object.assign(form, properties)
}

function andMore(errors: number): string {
  return errors > printedErrors ? `\n  … the first ${printedErrors} errors of ${errors}, which are in \`errors\`` : ''
}

function indented(text: string): string {
  return text.replaceAll('\n', '\n    ')
}

/** A call with its arguments, shortened: `tasks.hash('a.txt', [ 1, 2, 3, ... 97 more items ])`. */
export function shownCall(name: string, args: readonly unknown[]): string {
  const texts = args.slice(0, maxArguments).map(shortened)
  if (args.length > maxArguments) texts.push(`… ${args.length - maxArguments} more`)
  return `${name}(${texts.join(', ')})`
}

function shortened(value: unknown): string {
  let text: string
  try {
    text = inspect(value, {
      depth: 1,
      breakLength: Number.POSITIVE_INFINITY,
      maxArrayLength: 3,
      maxStringLength: maxArgumentLength,
      getters: false,
    })
  } catch {
    return "a value that can't be shown"
  }
  return text.length <= 2 * maxArgumentLength ? text : `${text.slice(0, maxArgumentLength)}…`
}
