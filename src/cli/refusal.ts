/** Turns errors of the parser into one sentence that says what to type instead. */
import yargs, { type CommandModule } from 'yargs'
import { nearest } from '../text/nearest.js'
import { UsageError } from './usage-error.js'

/** The part of yargs that returns an instance's options, which its types lack. */
interface OptionKeys {
  getOptions(): {
    readonly key: Readonly<Record<string, boolean>>
    readonly alias: Readonly<Record<string, string[]>>
    readonly boolean: readonly string[]
  }
}

type Command = Pick<CommandModule, 'command' | 'builder'>

/** The error for a parser message about `args`, the arguments as typed. */
export function refusal(
  commands: readonly Command[],
  args: readonly string[],
  message: string | null,
  error: Error | undefined,
): Error {
  const said = (message ?? error?.message ?? '').replace(/[.:]?\s*$/, '')
  const command = commands.find(each => nameOf(each) === args[0])
  const sentence =
    command === undefined ? withoutCommand(commands, args, said) : inCommand(commands, command, args, said)
  const help = `see ptq${command === undefined ? '' : ` ${args[0]}`} --help`
  if (sentence.endsWith('?')) return new UsageError(`${sentence} S${help.slice(1)}`, { cause: error })
  // A sentence about a wrong value says what it should be: the command's form adds nothing.
  const isFormWrong = command !== undefined && !sentence.startsWith('Expected ')
  const syntax = isFormWrong ? `expected ptq ${command.command}, ` : ''
  return new UsageError(`${sentence}: ${syntax}${help}`, { cause: error })
}

function withoutCommand(commands: readonly Command[], args: readonly string[], said: string): string {
  const [first] = args
  if (first === undefined) return said
  if (first.startsWith('-')) return `Unknown option: ${first}${meant(first, ['--help', '--version'])}`
  return `Unknown command: ${first}${meant(first, [...commands.map(nameOf), 'completion'])}`
}

function inCommand(commands: readonly Command[], command: Command, args: readonly string[], said: string): string {
  // The parser names an option without its dashes, and calls each extra word a command or an argument.
  const unknown = /^Unknown (?:argument|command)s?: (.*)$/.exec(said)?.[1]?.split(', ')
  if (unknown !== undefined) {
    // It names an option of several words in camel case as well.
    const spellings = new Set(unknown.filter(word => word.includes('-')).map(camelCase))
    const words = unknown.filter(word => !spellings.has(word))
    return words.map(word => unknownWord(commands, command, args, word)).join('; ')
  }
  const few = /^Not enough non-option arguments: got (\d+)/.exec(said)?.[1]
  if (few !== undefined) return `Missing argument: ${positionalsOf(command)[Number(few)] ?? ''}`
  const missing = /^Missing required arguments?: (.*)$/.exec(said)?.[1]
  if (missing !== undefined) return `Missing option: ${missing.split(', ').map(dashed).join(', ')}`
  const bare = /^Not enough arguments following: (.*)$/.exec(said)?.[1]
  if (bare !== undefined) return `Expected a value after ${dashed(bare)}`
  const choice = /Argument: ([\w-]+), Given: (.*), Choices: (.*)$/.exec(said)
  if (choice !== null) {
    const [, option = '', given = '', choices = ''] = choice
    return `Expected ${dashed(option)} to be one of ${choices.replaceAll('"', '')}, got ${given.replaceAll('"', '')}`
  }
  const exclusive = /^Arguments (\S+) and (\S+) are mutually exclusive$/.exec(said)
  if (exclusive !== null) {
    const [, one = '', other = ''] = exclusive
    return `Expected ${dashed(one)} or ${dashed(other)}, got both`
  }
  return said
}

function unknownWord(commands: readonly Command[], command: Command, args: readonly string[], word: string): string {
  const option = args.map(arg => arg.replace(/=.*$/s, '')).find(arg => arg.replace(/^--?(?:no-)?/, '') === word)
  if (option === undefined || option === word) return `Unexpected argument: ${word}`
  const owner = commands.find(each => each !== command && optionsOf(each).includes(option))
  const own = meant(option, optionsOf(command))
  if (own === '' && owner !== undefined) return `Unknown option: ${option}, which belongs to ptq ${nameOf(owner)}`
  return `Unknown option: ${option}${own}`
}

function nameOf({ command }: Command): string {
  return String(command).split(' ')[0] ?? ''
}

function positionalsOf({ command }: Command): string[] {
  return String(command).split(' ').slice(1)
}

/** The options of a command, as they are typed. */
export function optionsOf({ builder }: Pick<Command, 'builder'>): string[] {
  const parser = yargs([])
  if (typeof builder === 'function') builder(parser)
  const { key, alias } = (parser as unknown as OptionKeys).getOptions()
  return Object.keys(key).flatMap(name => [name, ...(alias[name] ?? [])].map(dashed))
}

/** Tells options of a command that take a value from flags, as they are typed. */
export function optionsWithValue({ builder }: Pick<Command, 'builder'>): (option: string) => boolean {
  const parser = yargs([])
  if (typeof builder === 'function') builder(parser)
  const { key, alias, boolean } = (parser as unknown as OptionKeys).getOptions()
  const flags = new Set(['--help', '-h', '--version'])
  for (const name of boolean) for (const each of [name, ...(alias[name] ?? [])]) flags.add(dashed(each))
  const names = new Set(Object.keys(key).flatMap(name => [name, ...(alias[name] ?? [])].map(dashed)))
  return option => names.has(option) && !flags.has(option)
}

function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`
}

/** e.g. `. Did you mean --limit?`; nothing where no name is near. */
function meant(typed: string, names: readonly string[]): string {
  const name = nearest(typed, names)
  return name === undefined ? '' : `. Did you mean ${name}?`
}
