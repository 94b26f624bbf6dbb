/** Options of workers that run commands, and their checks. */
import { checkNames, checkPositive } from '../errors/check-options.js'
import { argumentError } from '../errors/errors.js'
import { SlotValues } from './slot-values.js'

/** Options for commands of a worker, see `PollOptions.commands`. */
export interface CommandOptions {
  /** The programs that may run, named as tasks name them: `convert`, `/opt/tools/segment`. Default: any. */
  readonly allow?: readonly string[]
  /** Values of which each running command has one, such as `{ gpu: ['0', '1'] }`: in `PTQ_GPU`, and `CUDA_VISIBLE_DEVICES`. */
  readonly slots?: Readonly<Record<string, readonly string[]>>
  /**
   * Folder for the output of commands, in two files for each worker. Default: the queue's own folder for that (fq:
   * `logs`).
   */
  readonly logFolder?: string
  /** More output of a command is not kept. Default 10. */
  readonly maxLogMb?: number
}

/** The options, checked and with their defaults. */
export interface CommandSettings {
  readonly allow: readonly string[] | undefined
  readonly slots: SlotValues
  readonly logFolder: string | undefined
  readonly maxLogBytes: number
}

const defaultLogMb = 10

/** @throws TypeError or RangeError for a value that the option's documentation doesn't allow */
export function commandSettings(
  given: boolean | CommandOptions | undefined,
  parallel: number,
): CommandSettings | undefined {
  if (given === undefined || given === false) return undefined
  if (given !== true && (typeof given !== 'object' || given === null)) {
    throw argumentError('commands', 'true, false or an object of options', given)
  }
  if (parallel === 0) throw argumentError('parallel', '1 or more with `commands`: as many run at once', parallel)
  const options = given === true ? {} : given
  checkNames('options of commands', options, ['allow', 'slots', 'logFolder', 'maxLogMb'])
  const { allow, slots = {}, logFolder, maxLogMb } = options
  if (allow !== undefined && !isTexts(allow)) throw argumentError('commands.allow', 'an array of programs', allow)
  for (const [name, values] of Object.entries(slots)) {
    if (!/^[a-z][a-z0-9_]*$/i.test(name) || !isTexts(values)) {
      throw argumentError('commands.slots', 'names with arrays of texts, such as { gpu: ["0", "1"] }', slots)
    }
  }
  if (logFolder !== undefined && typeof logFolder !== 'string') {
    throw argumentError('commands.logFolder', 'the path of a folder', logFolder)
  }
  return {
    allow,
    slots: new SlotValues(new Map(Object.entries(slots)), parallel),
    logFolder,
    maxLogBytes: (checkPositive('commands.maxLogMb', maxLogMb) ?? defaultLogMb) * 1_000_000,
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(each => typeof each === 'string' && each !== '')
}
