/** Runs commands on this machine, `parallel` at a time. */
import { messageOf } from '../errors/thrown.js'
import { onAbort } from '../time/on-abort.js'
import type { CommandMaker } from './command-maker.js'
import { type CommandEnd, CommandRunner } from './command-runner.js'
import { exitText } from './exit-code.js'
import { type Halt, HaltCounter } from './halt.js'
import type { JobLog } from './job-log.js'
import { type OutputTargets, Printer, TaskOutput } from './printer.js'
import type { SlotValues } from './slot-values.js'
import { commandKey, type SuccessRecord } from './success-record.js'

/** Options of {@link runHere}. */
export interface RunHereOptions {
  readonly parallel: number
  readonly timeoutSeconds: number | undefined
  /** Maximum number of starts of a command that fails. */
  readonly attempts: number
  readonly halt: Halt | undefined
  readonly keepOrder: boolean
  readonly lineBuffer: boolean
  /** A command that writes more is ended, and has failed. Not with `lineBuffer`, which keeps nothing. */
  readonly maxOutputBytes: number
  readonly tag: boolean
  readonly slots: SlotValues
  readonly jobLog: JobLog | undefined
  readonly resume: SuccessRecord | undefined
  /** Its abort ends the commands that run. */
  readonly signal: AbortSignal
  readonly targets: OutputTargets
  /** Called for each task that failed. @param line the command */
  readonly onFailed: (line: string, reason: string) => void
  /** Called when a task has ended or is skipped. */
  readonly onDone: () => void
}

/** Numbers of a run that has ended. */
export interface RunHereResult {
  readonly succeeded: number
  readonly failed: number
  /** Succeeded in an earlier run of this name. */
  readonly skipped: number
  /** `halt` ended it. */
  readonly halted: boolean
}

/** With `keepOrder` no more tasks start while this number of outputs wait for a slow one. */
const maxWaiting = 1_000

/** Runs the command of `maker` for each of `inputs`. Resolves when all have ended. */
export async function runHere(
  maker: CommandMaker,
  inputs: AsyncIterable<readonly string[]>,
  options: RunHereOptions,
): Promise<RunHereResult> {
  return new HereRun(maker, inputs, options).run()
}

class HereRun {
  readonly #maker: CommandMaker
  readonly #inputs: AsyncIterator<readonly string[]>
  readonly #options: RunHereOptions
  readonly #runner: CommandRunner
  readonly #printer: Printer
  readonly #halt: HaltCounter
  readonly #cwd = process.cwd()
  /** Ends the running commands. */
  readonly #abort = new AbortController()
  /** Its abort ends the starting of commands. */
  readonly #noMore = new AbortController()
  #sequence = 0
  /** Reads of the inputs, one after the other. */
  #reading: Promise<unknown> = Promise.resolve()
  #succeeded = 0
  #failed = 0
  #skipped = 0
  #halted = false
  #wake: (() => void)[] = []

  constructor(maker: CommandMaker, inputs: AsyncIterable<readonly string[]>, options: RunHereOptions) {
    this.#maker = maker
    this.#inputs = inputs[Symbol.asyncIterator]()
    this.#options = options
    this.#runner = new CommandRunner(options.slots)
    this.#printer = new Printer(options.keepOrder)
    this.#halt = new HaltCounter(options.halt)
  }

  async run(): Promise<RunHereResult> {
    const { signal, parallel } = this.#options
    const stop = () => this.#stop(signal.reason)
    signal.addEventListener('abort', stop)
    try {
      const slots = Array.from({ length: parallel }, (_, index) => this.#work(index + 1))
      const failed = (await Promise.allSettled(slots)).find(each => each.status === 'rejected')
      await this.#printer.close()
      if (failed !== undefined) throw failed.reason
    } finally {
      signal.removeEventListener('abort', stop)
      await this.#runner.close()
    }
    return { succeeded: this.#succeeded, failed: this.#failed, skipped: this.#skipped, halted: this.#halted }
  }

  #stop(reason: unknown): void {
    this.#noMore.abort()
    this.#abort.abort(reason)
    void this.#inputs.return?.()
    this.#wakeAll()
  }

  get #stopped(): boolean {
    return this.#noMore.signal.aborted
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  async #work(slot: number): Promise<void> {
    try {
      for (let task = await this.#next(); task !== undefined; task = await this.#next()) {
        await this.#runTask(slot, task)
      }
    } catch (error) {
      // The inputs, or the output: the other slots need not continue either.
      this.#stop(error)
      throw error
    }
  }

  /** The next task that has not succeeded before. */
  async #next(): Promise<{ sequence: number; values: readonly string[] } | undefined> {
    while (!this.#stopped) {
      if (this.#printer.waiting >= maxWaiting) {
        await new Promise<void>(resolve => this.#wake.push(resolve))
        continue
      }
      const reading = this.#reading.then(() => this.#read())
      this.#reading = reading.catch(() => undefined)
      const task = await this.#unlessStopped(reading)
      if (task === undefined || this.#stopped) return undefined
      const { resume } = this.#options
      if (resume === undefined || !resume.takeSuccess(this.#key(task))) return task
      this.#skipped++
      await this.#printer.ended(task.sequence, undefined)
      this.#options.onDone()
    }
    return undefined
  }

  /** The next input of a pipe or a terminal may never come. @returns `undefined` as soon as no more commands start */
  #unlessStopped<R>(reading: Promise<R>): Promise<R | undefined> {
    return new Promise((resolve, reject) => {
      const end = onAbort(this.#noMore.signal, () => resolve(undefined))
      reading.then(resolve, reject).finally(end)
    })
  }

  async #read(): Promise<{ sequence: number; values: readonly string[] } | undefined> {
    if (this.#stopped) return undefined
    const { done, value } = await this.#inputs.next()
    return done === true ? undefined : { sequence: ++this.#sequence, values: value }
  }

  #key({ sequence, values }: { sequence: number; values: readonly string[] }): string {
    // The slot is chance.
    return commandKey(this.#maker.argv({ values, sequence, slot: 0 }), this.#cwd)
  }

  #outputOf(values: readonly string[]): TaskOutput {
    const { targets, tag, lineBuffer, maxOutputBytes } = this.#options
    return new TaskOutput(targets, {
      tag: tag ? `${values.join(' ')}\t` : '',
      isLive: lineBuffer,
      maxBytes: maxOutputBytes,
    })
  }

  async #runTask(slot: number, task: { sequence: number; values: readonly string[] }): Promise<void> {
    const { timeoutSeconds, attempts, jobLog, resume, onFailed, onDone } = this.#options
    const values = { ...task, slot }
    const argv = this.#maker.argv(values)
    let startedAtMs: number
    let end: CommandEnd
    let output: TaskOutput
    for (let attempt = 1; ; attempt++) {
      startedAtMs = Date.now()
      const current = this.#outputOf(task.values)
      output = current
      end = await this.#runner.run(slot, {
        argv,
        cwd: this.#cwd,
        env: { PTQ_TASK_ID: String(task.sequence), PTQ_ATTEMPT: String(attempt) },
        timeoutSeconds,
        signal: this.#abort.signal,
        onOutput: (stream, chunk) => current.add(stream, chunk),
      })
      if (end.exitCode === 0 || attempt >= attempts || this.#stopped) break
      output.discard()
    }
    await this.#printer.ended(task.sequence, output)
    this.#wakeAll()
    const line = () => this.#maker.line(values)
    jobLog?.add({ ...task, startedAtMs, stdoutBytes: output.stdoutBytes, command: line(), end })
    if (end.exitCode === 0) {
      this.#succeeded++
      resume?.add(this.#key(task))
    } else {
      this.#failed++
      // One that this run itself has ended is no news.
      if (!this.#abort.signal.aborted) onFailed(line(), reasonOf(end))
    }
    onDone()
    const halt = this.#halt.add(end.exitCode === 0)
    if (halt === undefined) return
    this.#halted = true
    if (halt === 'now') this.#stop(new Error('The run was halted'))
    else this.#noMore.abort()
  }
}

function reasonOf({ exitCode, error }: CommandEnd): string {
  return exitCode === undefined ? messageOf(error) : exitText(exitCode)
}
