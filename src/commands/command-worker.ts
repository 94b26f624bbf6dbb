/** The part of a worker that runs commands: reads payloads, hands out slots, keeps what commands write. */
import { resolve } from 'node:path'
import { UnregisteredTaskError } from '../errors/errors.js'
import { context } from '../tasks/context.js'
import type { Payload } from '../tasks/payload.js'
import type { RegisteredFunction } from '../tasks/registry.js'
import { plainLine } from '../text/plain-line.js'
import { CommandRunner } from './command-runner.js'
import { commandKey, type QueuedCommand, queuedCommand } from './command-task.js'
import { CommandFailedError, exitText } from './exit-code.js'
import { LogWriter } from './log-writer.js'
import { commandLine } from './shell-quote.js'
import type { SlotValues } from './slot-values.js'

/** Settings of a {@link CommandWorker}. */
export interface CommandWorkerSettings {
  /** Commands that run at once. */
  readonly parallel: number
  /** The programs that may run; `undefined`: any. */
  readonly allow: readonly string[] | undefined
  readonly slots: SlotValues
  readonly timeoutSeconds: number | undefined
  readonly logFolder: string
  readonly maxLogBytes: number
  /** The queue's URL, for `PTQ_QUEUE`. */
  readonly queue: string
}

/** Bytes of stderr that are kept as the reason of a failure. */
const tailBytes = 1_000

export class CommandWorker {
  readonly #settings: CommandWorkerSettings
  readonly #runner: CommandRunner
  readonly #log: LogWriter
  readonly #free: number[]
  readonly #waiting: ((slot: number) => void)[] = []
  readonly #code: RegisteredFunction

  constructor(settings: CommandWorkerSettings) {
    this.#settings = settings
    this.#runner = new CommandRunner(settings.slots)
    this.#log = new LogWriter(settings.logFolder, settings.maxLogBytes)
    this.#free = Array.from({ length: settings.parallel }, (_, index) => index + 1)
    const [module, name] = commandKey
    this.#code = {
      kind: 'function',
      module,
      name,
      key: commandKey,
      fn: (command: QueuedCommand) => this.#run(command),
      url: undefined,
      minArgs: 1,
    }
  }

  /**
   * The code and the input that run a task.
   *
   * @throws UnregisteredTaskError where this worker doesn't run it; TypeError where it is a command that can't be run
   */
  callOf(payload: Payload): { readonly code: RegisteredFunction; readonly command: QueuedCommand } {
    const command = queuedCommand(payload)
    const { allow } = this.#settings
    const [program = ''] = command.argv
    if (allow !== undefined && !allow.includes(program)) {
      throw new UnregisteredTaskError(
        `Expected one of the programs that may run here (${allow.join(', ')}), got ${plainLine(program)}`,
      )
    }
    return { code: this.#code, command }
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    await this.#runner.close()
    await this.#log.close()
  }

  async #run({ argv, cwd }: QueuedCommand): Promise<void> {
    const { id, attempt, signal, traceparent } = context()
    // The name under which programs look for it, as OpenTelemetry has it for environments.
    const trace = traceparent === undefined ? {} : { TRACEPARENT: traceparent }
    const slot = await this.#acquire()
    try {
      signal.throwIfAborted()
      const log = this.#log.begin(id, attempt, plainLine(commandLine(argv)))
      let tail = Buffer.alloc(0)
      const { exitCode, error } = await this.#runner.run(slot, {
        argv,
        cwd: resolve(cwd ?? ''),
        env: { PTQ_TASK_ID: id, PTQ_ATTEMPT: String(attempt), PTQ_QUEUE: this.#settings.queue, ...trace },
        timeoutSeconds: this.#settings.timeoutSeconds,
        signal,
        onOutput: (stream, chunk) => {
          log.add(stream, chunk)
          if (stream !== 'stderr') return undefined
          tail = Buffer.from(Buffer.concat([tail, chunk.subarray(-tailBytes)]).subarray(-tailBytes))
          return undefined
        },
      })
      // Before the task counts as done: its output must not be lost with this worker.
      await log.end(error === undefined ? exitText(exitCode ?? 0) : plainLine(error.message))
      if (error !== undefined) throw error
      if (exitCode !== undefined && exitCode !== 0) throw new CommandFailedError(exitCode, tail.toString('utf8').trim())
    } finally {
      this.#release(slot)
    }
  }

  /**
   * A slot that no command uses. A command that was abandoned, because its lease is lost, keeps its own until it has
   * ended.
   */
  #acquire(): Promise<number> {
    const slot = this.#free.shift()
    return slot === undefined ? new Promise(resolve => this.#waiting.push(resolve)) : Promise.resolve(slot)
  }

  #release(slot: number): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(slot)
    else next(slot)
  }
}
