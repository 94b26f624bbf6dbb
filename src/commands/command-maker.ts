/** Makes the commands of a run: from a template and values, as arguments or as lines for a shell. */
import { CommandTemplate, type TaskValues } from './replacement.js'
import { commandLine } from './shell-quote.js'

const shell = '/bin/sh'

export class CommandMaker {
  readonly #template: CommandTemplate | undefined
  readonly #inShell: boolean

  /**
   * @param words the command with its replacement strings; empty: the values are command lines for a shell
   * @param inShell a shell reads the command, with the values quoted
   */
  constructor(words: readonly string[], inShell: boolean) {
    this.#template = words.length === 0 ? undefined : new CommandTemplate(words)
    this.#inShell = inShell || words.length === 0
  }

  /** True where the command differs from slot to slot, so that it is known only when it starts. */
  get usesSlot(): boolean {
    return this.#template?.usesSlot ?? false
  }

  /** The program, where it is the same for all tasks. */
  get program(): string | undefined {
    if (this.#inShell) return shell
    return this.#template?.program
  }

  /** The program and its arguments. */
  argv(task: TaskValues): string[] {
    if (this.#inShell) return [shell, '-c', this.line(task)]
    return this.#template?.argv(task) ?? []
  }

  /** The command as a person could type it. */
  line(task: TaskValues): string {
    if (this.#template === undefined) return task.values.join(' ')
    return this.#inShell ? this.#template.shellLine(task) : commandLine(this.#template.argv(task))
  }
}
