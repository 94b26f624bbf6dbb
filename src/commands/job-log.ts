/** A log of what ran, in the format of GNU parallel's `--joblog`. */
import type { CommandEnd } from './command-runner.js'
import { signalOf } from './exit-code.js'
import { LineFile } from './line-file.js'

const head = ['Seq', 'Host', 'Starttime', 'JobRuntime', 'Send', 'Receive', 'Exitval', 'Signal', 'Command'].join('\t')

const sigterm = 15

export class JobLog {
  readonly #file: LineFile

  /** Replaces the file, as GNU parallel does. @throws Error where it can't be written */
  constructor(path: string) {
    this.#file = new LineFile(path, 'w')
    this.#file.add(head)
  }

  /** @param command the command on one line */
  add(task: { sequence: number; startedAtMs: number; stdoutBytes: number; command: string; end: CommandEnd }): void {
    const { sequence, startedAtMs, stdoutBytes, command, end } = task
    const fields = [
      sequence,
      ':',
      (startedAtMs / 1000).toFixed(3),
      end.durationSeconds.toFixed(3).padStart(10),
      0,
      stdoutBytes,
      ...exitFields(end),
      command.replaceAll('\n', ' '),
    ]
    this.#file.add(fields.join('\t'))
  }

  close(): void {
    this.#file.close()
  }
}

function exitFields({ exitCode }: CommandEnd): readonly [exitCode: number, signal: number] {
  if (exitCode === undefined) return [-1, sigterm]
  const signal = signalOf(exitCode)
  return signal === undefined ? [exitCode, 0] : [0, signal.number]
}
