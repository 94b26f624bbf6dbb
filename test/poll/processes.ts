// Worker processes, started and ended by tests.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { PollOptions, WorkerEventMap } from 'ptq'

/** What a worker process sends. */
export type WorkerWord = { readonly ran: number } | { readonly name: WordName; readonly id: string }

/** An event of the worker, or a signal that it was sent. */
export type WordName = keyof WorkerEventMap | 'SIGINT' | 'SIGTERM'

export class WorkerProcess {
  readonly words: WorkerWord[] = []
  /** How it ended: its exit code, or the signal that killed it. */
  readonly end: Promise<number | NodeJS.Signals | null>
  readonly #child: ChildProcess

  constructor(url: string, options: PollOptions = {}, names: readonly (keyof WorkerEventMap)[] = []) {
    const args = [url, JSON.stringify(options), JSON.stringify(names)]
    this.#child = fork(join(import.meta.dirname, 'worker-process.js'), args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child.on('message', (word: WorkerWord) => this.words.push(word))
    this.end = once(this.#child, 'close').then(([code, signal]) => code ?? signal)
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Resolves when it said so. */
  async heard(name: WordName): Promise<void> {
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

  /** How many tasks it executed; `undefined` if it died before it could tell. */
  get ran(): number | undefined {
    for (const word of this.words) if ('ran' in word) return word.ran
    return undefined
  }
}
