/** Runs commands in slots, each with a time limit. */

import { onAbort } from '../time/on-abort.js'
import { OrphanWatchdog } from './orphan-watchdog.js'
import { Programs } from './program.js'
import { type OutputStream, SlotShell } from './slot-shell.js'
import type { SlotValues } from './slot-values.js'

/** A command as its task has it. */
export interface CommandRequest {
  /** The program and its arguments. */
  readonly argv: readonly string[]
  /** An absolute path. */
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutSeconds: number | undefined
  /** Its abort ends the command. */
  readonly signal?: AbortSignal
  /**
   * Its error ends the command, whose output would be incomplete. Nothing more of the stream is read until a returned promise has
   * settled: a command waits for a slow reader.
   */
  onOutput(stream: OutputStream, chunk: Buffer): Promise<void> | undefined
}

/** The end of a command. */
export interface CommandEnd {
  /** 128 + n if signal n ended it; `undefined` if it did not end by itself. */
  readonly exitCode: number | undefined
  /** The reason why it did not end by itself, or did not start. */
  readonly error: Error | undefined
  readonly durationSeconds: number
}

/** A command that ran for longer than it may. */
export class CommandTimeoutError extends Error {
  static {
    CommandTimeoutError.prototype.name = 'CommandTimeoutError'
  }
}

export class CommandRunner {
  readonly #watchdog = new OrphanWatchdog()
  readonly #programs = new Programs()
  readonly #slotValues: SlotValues
  readonly #shells: (SlotShell | undefined)[] = []
  readonly #ending = new Set<Promise<void>>()

  constructor(slotValues: SlotValues) {
    this.#slotValues = slotValues
  }

  /**
   * Runs a command to its end.
   * @param slot from 1; no other command may be running in it
   */
  async run(slot: number, request: CommandRequest): Promise<CommandEnd> {
    const startMs = performance.now()
    const since = () => (performance.now() - startMs) / 1000
    let timer: NodeJS.Timeout | undefined
    let stopListening: (() => void) | undefined
    try {
      request.signal?.throwIfAborted()
      const [name = '', ...args] = request.argv
      const nul = [...request.argv, request.cwd].find(word => word.includes('\0'))
      if (nul !== undefined) {
        throw new Error('Expected arguments and a folder without NUL characters, which no program can be given')
      }
      const program = this.#programs.find(name, request.cwd)
      const shell = this.#shell(slot)
      const end = (reason: Error) => this.#kill(slot, shell, reason)
      const { timeoutSeconds, signal } = request
      if (timeoutSeconds !== undefined) {
        timer = setTimeout(
          () => end(new CommandTimeoutError(`The command ran for longer than ${timeoutSeconds} s and was ended`)),
          Math.min(timeoutSeconds * 1000, 2 ** 31 - 1),
        )
      }
      stopListening = onAbort(signal, () => end(signal?.reason))
      const env = { PTQ_SLOT: String(slot), ...this.#slotValues.of(slot), ...request.env }
      const onOutput = (stream: OutputStream, chunk: Buffer) => {
        try {
          return request.onOutput(stream, chunk)?.catch(end)
        } catch (error) {
          end(error as Error)
          return undefined
        }
      }
      const exitCode = await shell.run({ program, args, cwd: request.cwd, env, onOutput })
      return { exitCode, error: undefined, durationSeconds: since() }
    } catch (error) {
      return { exitCode: undefined, error: error as Error, durationSeconds: since() }
    } finally {
      clearTimeout(timer)
      stopListening?.()
    }
  }

  /** Ends the shells. Commands that run are ended too. */
  async close(): Promise<void> {
    await Promise.all(this.#shells.map(shell => shell?.close()))
    await Promise.all(this.#ending)
    this.#watchdog.close()
  }

  #shell(slot: number): SlotShell {
    const known = this.#shells[slot]
    if (known?.usable) return known
    const shell = new SlotShell(this.#watchdog)
    this.#shells[slot] = shell
    return shell
  }

  #kill(slot: number, shell: SlotShell, reason: Error): void {
    if (this.#shells[slot] === shell) this.#shells[slot] = undefined
    const ending = shell.kill(reason).finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }
}
