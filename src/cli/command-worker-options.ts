/** Options of `ptq poll` for workers that run commands. */
import type { ArgumentsCamelCase, Argv } from 'yargs'
import type { CommandOptions } from '../index.js'
import { numberOption, textOption } from './option-values.js'
import { slotOption } from './slot-option.js'
import { UsageError } from './usage-error.js'

/** Declares them. */
export function commandWorkerOptions<Args>(yargs: Argv<Args>) {
  return yargs
    .option('commands', {
      type: 'boolean',
      describe: 'Run commands, and nothing else: who can write to the queue can run any program here',
    })
    .option('allow', {
      type: 'string',
      array: true,
      requiresArg: true,
      coerce: programsOption,
      describe: 'With --commands: only these programs, such as convert,ffmpeg',
    })
    .option('slots', slotOption)
    .option(
      'log-folder',
      textOption('--log-folder', "Where output of commands is kept (default: the queue's own logs)"),
    )
    .option(
      'max-log-mb',
      numberOption('--max-log-mb', 'More output of a command is not kept (default: 10)', { min: Number.MIN_VALUE }),
    )
}

type CommandWorkerArguments =
  ReturnType<typeof commandWorkerOptions<object>> extends Argv<infer Args> ? ArgumentsCamelCase<Args> : never

/** @throws UsageError where they don't fit each other */
export function checkCommandWorker(
  args: CommandWorkerArguments & { load?: unknown; processes?: number | undefined },
): void {
  const { load, commands, allow, slots, logFolder, maxLogMb, processes } = args
  if (load === undefined && commands !== true) {
    throw new UsageError(
      'Missing option: --load, or --commands for commands: expected ptq poll <queue>, see ptq poll --help',
    )
  }
  const given = Object.entries({
    '--allow': allow,
    '--slots': slots,
    '--log-folder': logFolder,
    '--max-log-mb': maxLogMb,
  })
  const [name] = given.find(([, value]) => value !== undefined) ?? []
  if (name !== undefined && commands !== true) throw new UsageError(`Expected ${name} with --commands only`)
  if (slots !== undefined && processes !== undefined) {
    throw new UsageError(
      'Expected --slots without --processes, which would all hand out the same values: use --parallel',
    )
  }
}

/** `commands` of `poll`. */
export function commandOptionsOf(args: CommandWorkerArguments): CommandOptions | undefined {
  const { commands, allow, slots, logFolder, maxLogMb } = args
  if (commands !== true) return undefined
  return {
    ...(allow !== undefined && { allow }),
    ...(slots !== undefined && { slots: Object.fromEntries(slots) }),
    ...(logFolder !== undefined && { logFolder }),
    ...(maxLogMb !== undefined && { maxLogMb }),
  }
}

function programsOption(texts: unknown): string[] | undefined {
  if (!Array.isArray(texts)) return undefined
  const programs = texts.flatMap(text => String(text).split(','))
  if (programs.every(program => program !== '')) return programs
  throw new UsageError(`Expected --allow to be programs, such as convert,ffmpeg, got ${texts.join(' ')}`)
}
