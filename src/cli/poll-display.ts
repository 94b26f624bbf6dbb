/** What a worker shows: on a terminal a line that is drawn anew, elsewhere plain lines, for a log. */
import type { TaskQueue, WorkerEventMap } from '../index.js'
import { nameAndMessageOf } from '../thrown.js'
import { printable, shortened } from './printing.js'
import { duration } from '../terminal/duration.js'

const REDRAW_MS = 250
const SUMMARY_MS = 30_000

export class PollDisplay {
  readonly #url: string
  readonly #startMs = performance.now()
  readonly #running = new Set<string>()
  readonly #terminal: boolean
  readonly #timer: NodeJS.Timeout
  #executed = 0
  #failed = 0
  #deadLetters = 0
  #summary = ''
  #lineDrawn = false
  #begun = false

  /** @param options.verbose the library prints each step by itself: only the end is shown */
  constructor(queue: TaskQueue, options: { verbose: boolean }) {
    this.#terminal = process.stderr.isTTY && !options.verbose
    const { events } = queue
    events
      .on('started', ({ task }) => this.#running.add(task.id))
      .on('succeeded', ({ task }) => {
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
    if (this.#terminal) events.on('log', ({ line }) => this.#above(() => process.stdout.write(`${line}\n`)))
    this.#url = queue.url
    const begin = () => {
      events.off('leased', begin).off('idle', begin)
      this.begin()
    }
    // Not before: what poll refuses has not begun.
    events.on('leased', begin).on('idle', begin)
    this.#timer = setInterval(() => this.#tick(), this.#terminal ? REDRAW_MS : SUMMARY_MS)
  }

  /** How many tasks this worker moved to the dead letters. */
  get deadLetters(): number {
    return this.#deadLetters
  }

  /** Says, once, that the worker is at work; it may also end without having found a task. */
  begin(): void {
    if (this.#begun) return
    this.#begun = true
    this.#print(`Working on ${this.#url} in process ${process.pid}`)
  }

  /** Prints the last state; leaves no timer. */
  end(): void {
    clearInterval(this.#timer)
    if (this.#begun) this.#print(`Ended: ${this.#state()}`)
  }

  #onFailed({ task, error, retryInSeconds }: WorkerEventMap['failed']): void {
    this.#running.delete(task.id)
    this.#failed++
    if (retryInSeconds === undefined) return
    const again = `again in ${duration(retryInSeconds)}`
    this.#print(`${task.name} ${task.id} failed in attempt ${task.attempt}, ${again}: ${reasonOf(error)}`)
  }

  #tick(): void {
    if (this.#terminal) {
      this.#erase()
      process.stderr.write(
        shortened(`${this.#state()}, ${this.#running.size} running`, (process.stderr.columns ?? 80) - 1),
      )
      this.#lineDrawn = true
      return
    }
    const summary = `${this.#executed} ${this.#failed}`
    if (summary !== this.#summary) this.#print(`${this.#state()}, ${this.#running.size} running`)
    this.#summary = summary
  }

  #state(): string {
    const seconds = (performance.now() - this.#startMs) / 1000
    const rate = this.#executed / seconds
    const speed = `${rate >= 10 ? Math.round(rate) : rate.toFixed(1)}/s`
    return `${this.#executed} executed, ${this.#failed} failed, ${speed}, ${duration(seconds)}`
  }

  #print(text: string): void {
    this.#above(() => {
      if (this.#terminal) process.stderr.write(`${printable(text)}\n`)
      else process.stdout.write(`${new Date().toISOString()} ${printable(text)}\n`)
    })
  }

  #above(print: () => void): void {
    this.#erase()
    print()
  }

  #erase(): void {
    if (this.#lineDrawn) process.stderr.write('\r\u001b[2K')
    this.#lineDrawn = false
  }
}

function reasonOf(error: unknown): string {
  return nameAndMessageOf(error)
}
