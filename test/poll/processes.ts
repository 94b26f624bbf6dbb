// Worker processes, started and ended by tests.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { PollOptions, WorkerEventMap } from 'ptq'
import type { ClockShift } from '../time/shifted-clock.js'

/** A message of a worker process. */
export type WorkerWord = { readonly ran: number } | { readonly name: WordName; readonly id: string }

/** An event of the worker, or a signal that it was sent. */
export type WordName = keyof WorkerEventMap | 'SIGINT' | 'SIGTERM'

export class WorkerProcess {
  readonly words: WorkerWord[] = []
  /** Its exit code, or the signal that killed it. */
  readonly end: Promise<number | NodeJS.Signals | null>
  readonly #child: ChildProcess

  /** @param moduleFirst a file that is imported before all others */
  constructor(
    url: string,
    options: PollOptions = {},
    names: readonly (keyof WorkerEventMap)[] = [],
    moduleFirst?: string,
  ) {
    const args = [url, JSON.stringify(options), JSON.stringify(names)]
    this.#child = fork(join(import.meta.dirname, 'worker-process.js'), args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      ...(moduleFirst !== undefined && { execArgv: ['--import', pathToFileURL(moduleFirst).href] }),
    })
    this.#child.on('message', (word: WorkerWord) => this.words.push(word))
    this.end = once(this.#child, 'close').then(([code, signal]) => code ?? signal)
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Sets its wall clock, or lets its machine sleep; it has to have `shifted-clock.ts`. */
  shiftClocks(shift: ClockShift): void {
    this.#child.send(shift)
  }

  /** The number of these messages so far. */
  count(name: WordName): number {
    return this.words.filter(word => 'name' in word && word.name === name).length
  }

  /** Resolves at the `times`-th of these messages. */
  async waitForTimes(name: WordName, times: number): Promise<void> {
    while (this.count(name) < times) await once(this.#child, 'message')
  }

  /** Resolves at the first of these messages. */
  async waitFor(name: WordName): Promise<void> {
    const isIt = (word: WorkerWord) => 'name' in word && word.name === name
    if (this.words.some(isIt)) return
    await new Promise<void>(resolve => {
      const listener = (word: WorkerWord) => {
        if (!isIt(word)) return
        this.#child.off('message', listener)
        resolve()
      }
      this.#child.on('message', listener)
    })
  }

  /** The number of executed tasks; `undefined` if the process died before it could report it. */
  get ran(): number | undefined {
    for (const word of this.words) if ('ran' in word) return word.ran
    return undefined
  }
}
