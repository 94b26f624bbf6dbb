/** Output of `ptq poll`: on a terminal a status line that is redrawn, elsewhere plain lines, for a log. */

import { nameAndMessageOf } from '../errors/thrown.js'
import type { TaskQueue, WorkerEventMap, WorkerEvents } from '../index.js'
import { repeatMs } from '../runtime/stop-signals.js'
import { duration } from '../terminal/duration.js'
import { StatusLine } from '../terminal/status-line.js'
import { counted } from '../text/counted.js'
import { isWorkerProcess } from './parent-process.js'
import { countOf, printable } from './printing.js'

const redrawMs = 250
const summaryMs = 30_000

/** Signals that the worker always handles. */
const stopSignals = ['SIGINT', 'SIGTERM'] as const

export class PollDisplay {
  readonly #url: string
  readonly #startMs = performance.now()
  readonly #running = new Set<string>()
  readonly #line: StatusLine | undefined
  readonly #graceSeconds: number | undefined
  readonly #timer: NodeJS.Timeout
  readonly #events: WorkerEvents
  #steps: { dispose(): void } | undefined
  /** The address of the worker's metrics, if there is one. */
  metricsUrl: string | undefined
  #executed = 0
  #failedAttempts = 0
  #deadLetters = 0
  #summary = ''
  #hasBegun = false
  #isStopping = false
  #interruptedAtMs = Number.NEGATIVE_INFINITY

  /**
   * @param options.verbose each step is printed, see {@link printSteps}: no line is drawn
   * @param options.graceSeconds how long running tasks have after a signal; `undefined`: as long as they need
   */
  constructor(queue: TaskQueue, options: { verbose: boolean; graceSeconds: number | undefined }) {
    // Several processes would draw over each other's lines.
    this.#line = options.verbose || isWorkerProcess() ? undefined : StatusLine.open()
    this.#graceSeconds = options.graceSeconds
    const { events } = queue
    this.#events = events
    events
      .on('started', ({ task }) => this.#running.add(task.id))
      .on('deleted', ({ task }) => {
        this.#running.delete(task.id)
        this.#executed++
      })
      .on('failed', event => this.#onFailed(event))
      .on('lost', ({ task, error }) => {
        this.#running.delete(task.id)
        this.#print(`${task.name} ${task.id} was stopped, its lease is lost: ${reasonOf(error)}`)
      })
      .on('dead-lettered', ({ task, reason, deadLetter }) => {
        this.#deadLetters++
        this.#print(`${task.name} ${task.id} failed for good and is in ${deadLetter}: ${reason}`)
      })
      .on('released', ({ task }) => this.#running.delete(task.id))
    this.#url = queue.url
    const begin = () => {
      events.off('leased', begin).off('idle', begin)
      this.begin()
    }
    // Not before: an option that poll refuses is no start.
    events.on('leased', begin).on('idle', begin)
    this.#timer = setInterval(() => this.#tick(), this.#line === undefined ? summaryMs : redrawMs)
    // With several processes, their parent prints this.
    if (!isWorkerProcess()) for (const name of stopSignals) process.on(name, this.#onSignal)
  }

  /** Prints each step of the worker, in the words of the library's `verbose`, with the time. */
  async printSteps(): Promise<void> {
    const { printSteps } = await import('../poll/step-printer.js')
    this.#steps = printSteps(this.#events, line => this.#print(line))
  }

  /** The number of tasks that this worker moved to the dead letters. */
  get deadLetters(): number {
    return this.#deadLetters
  }

  /** Prints, once, that the worker has started; also for a worker that ends without a task. */
  begin(): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    const metrics = this.metricsUrl === undefined ? '' : `, metrics at ${this.metricsUrl}`
    // The lines of one of several processes begin with its id.
    const place = isWorkerProcess() ? '' : ` in process ${process.pid}`
    this.#print(`Working on ${this.#url}${place}${metrics}`)
  }

  /** Prints the last state; leaves no timer. */
  end(): void {
    clearInterval(this.#timer)
    for (const name of stopSignals) process.off(name, this.#onSignal)
    this.#line?.close()
    this.#steps?.dispose()
    if (this.#hasBegun) this.#print(`Ended: ${this.#state()}`)
  }

  #onFailed({ task, error, retryInSeconds }: WorkerEventMap['failed']): void {
    this.#running.delete(task.id)
    this.#failedAttempts++
    if (retryInSeconds === undefined) return
    const again = `again in ${duration(retryInSeconds)}`
    this.#print(`${task.name} ${task.id} failed in attempt ${task.attempt}, ${again}: ${reasonOf(error)}`)
  }

  #tick(): void {
    if (this.#line !== undefined) {
      this.#line.draw(`${this.#state()}, ${this.#running.size} running`)
      return
    }
    const summary = `${this.#executed} ${this.#failedAttempts}`
    if (summary !== this.#summary) this.#print(`${this.#state()}, ${this.#running.size} running`)
    this.#summary = summary
  }

  #state(): string {
    const seconds = (performance.now() - this.#startMs) / 1000
    const rate = this.#executed / seconds
    const speed = `${rate >= 10 ? Math.round(rate) : rate.toFixed(1)}/s`
    const attempts = counted(this.#failedAttempts, 'failed attempt')
    const failed = this.#failedAttempts === 0 ? '0 failed' : `${this.#deadLetters} failed for good, ${attempts}`
    return `${this.#executed} executed, ${failed}, ${speed}, ${duration(seconds)}`
  }

  /** Prints how the worker reacts to a signal. */
  readonly #onSignal = (name: NodeJS.Signals): void => {
    const nowMs = performance.now()
    const running = countOf(this.#running.size)
    if (!this.#isStopping) {
      this.#isStopping = true
      if (name === 'SIGINT') this.#interruptedAtMs = nowMs
      const limit = this.#graceSeconds === undefined ? '' : ` for up to ${duration(this.#graceSeconds)}`
      const isIdle = this.#running.size === 0
      this.#print(isIdle ? `${name}: ending` : `${name}: finishing ${running}${limit}, again to leave at once`)
    } else if (name !== 'SIGINT' || nowMs - this.#interruptedAtMs >= repeatMs) {
      this.#print(`${name}: leaving at once, ${running} released`)
    }
  }

  #print(text: string): void {
    const which = isWorkerProcess() ? `[${process.pid}] ` : ''
    if (this.#line !== undefined) process.stderr.write(`${printable(text)}\n`)
    else process.stdout.write(`${new Date().toISOString()} ${which}${printable(text)}\n`)
  }
}

function reasonOf(error: unknown): string {
  return nameAndMessageOf(error)
}
