/**
 * Prepares arguments for the parser: yargs reads a lone `-` as an empty text, and what follows `--` as no argument of a
 * command; and it would show former spellings in its help, and propose them in completions.
 */

// Not a character of any argument: the system ends an argument at it.
const mark = '\u0000'

/** Former spellings of options, without their unit, which still work. */
const formerSpellings: ReadonlyMap<string, string> = new Map([
  ['--timeout', '--timeout-sec'],
  ['--grace', '--grace-sec'],
  ['--max-memory', '--max-memory-mb'],
])

function respelt(arg: string): string {
  const [name = ''] = arg.split('=', 1)
  return (formerSpellings.get(name) ?? name) + arg.slice(name.length)
}

/**
 * Marks every lone `-`, and every argument after `--`, which is then a positional argument; replaces former spellings
 * of options.
 */
export function markArguments(args: readonly string[]): readonly string[] {
  // Completion: these are incomplete arguments.
  if (args[0] === '--get-yargs-completions') return args
  const end = args.indexOf('--')
  const options = end < 0 ? args : args.slice(0, end)
  const rest = end < 0 ? [] : args.slice(end + 1)
  return [
    ...options.map(arg => (arg === '-' ? mark + arg : respelt(arg))),
    ...rest.map(arg => (arg.startsWith('-') ? mark + arg : arg)),
  ]
}

function unmarked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unmarked)
  return typeof value === 'string' && value.startsWith(mark) ? value.slice(mark.length) : value
}

/** Removes the marks, in place: the parser's result holds each value under several names. */
export function unmarkArguments(parsed: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(parsed)) parsed[name] = unmarked(value)
}

/** The text of an argument that the parser has read as a number. @param names all names of the option, with dashes */
export function textOf(names: readonly string[], args: readonly string[]): string {
  for (const [index, arg] of args.entries()) {
    const name = names.find(each => arg === each || arg.startsWith(`${each}=`))
    if (name !== undefined) return arg === name ? (args[index + 1] ?? '') : arg.slice(name.length + 1)
  }
  return ''
}

/** The parts of a command line whose own options end where another command begins. */
export interface SplitArguments {
  readonly own: readonly string[]
  /** The words of the other command, as they are. */
  readonly rest: readonly string[]
}

/**
 * Splits the arguments of `ptq run` before the first word that is neither an option nor its value, or at `--`.
 *
 * @param takesValue tells an option with a value from one without
 */
export function splitArguments(args: readonly string[], takesValue: (option: string) => boolean): SplitArguments {
  let at = 1
  while (at < args.length) {
    const arg = respelt(args[at] ?? '')
    if (arg === '--') return { own: args.slice(0, at), rest: args.slice(at + 1) }
    if (!/^--?[a-z0-9]/i.test(arg)) break
    at += arg.includes('=') || !takesValue(arg) ? 1 : 2
  }
  return { own: args.slice(0, at), rest: args.slice(at) }
}
