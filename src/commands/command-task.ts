/** Commands as payloads: calls of a function that only workers which run commands have. */
import { UnregisteredTaskError } from '../errors/errors.js'
import { type FunctionKey, isFunctionPayload, type Payload } from '../tasks/payload.js'
import { FunctionTask } from '../tasks/task.js'

/** The key of commands. It is registered nowhere: no import, and no other worker, makes a payload start a program. */
export const commandKey: FunctionKey = ['ptq.commands', 'run']

/** A command as its payload has it. */
export interface QueuedCommand {
  /** The program and its arguments. */
  readonly argv: readonly string[]
  /** Its working directory, from that of the worker; `null`: that one itself. */
  readonly cwd: string | null
}

/** The task of a command. */
export function commandTask(argv: readonly string[], cwd: string): FunctionTask {
  return new FunctionTask(commandKey, [argv], { cwd })
}

/**
 * Reads a payload.
 *
 * @throws UnregisteredTaskError where it is no command; TypeError where it is one that can't be run
 */
export function queuedCommand(payload: Payload): QueuedCommand {
  if (!isFunctionPayload(payload) || payload[0].join('/') !== commandKey.join('/')) {
    throw new UnregisteredTaskError(
      'Expected a command: this worker runs nothing else; start one without --commands for functions and classes',
    )
  }
  const [, args, options] = payload
  const [argv] = args
  const { cwd = null } = options
  if (!Array.isArray(argv) || argv.length === 0 || !argv.every(word => typeof word === 'string')) {
    throw new TypeError('Expected a command, an array of a program and its arguments, all of them text')
  }
  const unknown = Object.keys(options).find(name => name !== 'cwd')
  if (args.length > 1 || unknown !== undefined || !(cwd === null || typeof cwd === 'string')) {
    throw new TypeError(
      `Expected a command [program, …] with { cwd } at most, got ${unknown ?? (args.length > 1 ? 'more arguments' : 'a cwd that is no text')}`,
    )
  }
  return { argv: argv as string[], cwd: cwd ?? null }
}
