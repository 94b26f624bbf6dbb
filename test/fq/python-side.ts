/**
 * A stand-in for Python's worker and inserter, written from the table of the format alone: it uses none of this
 * project's code, and makes the same file operations in the same order as Python, without its locks, which ptq doesn't
 * use.
 */
import { randomUUID } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

export interface PythonTask {
  readonly id: string
  readonly queueName: string
  readonly payload: unknown
}

/** A name in `queue/` on which a Python worker ends. */
export class GrammarError extends Error {
  override readonly name = 'GrammarError'

  constructor(name: string) {
    super(`A Python worker crashes on ${name}`)
  }
}

export class PythonSide {
  readonly #root: string
  readonly #nowSeconds: () => number
  readonly #between: () => void

  /** @param between called between two file operations: what happens in other processes then is what Python has to live with */
  constructor(root: string, nowSeconds: () => number, between: () => void = () => undefined) {
    this.#root = root
    this.#nowSeconds = nowSeconds
    this.#between = between
    for (const folder of ['movement', 'queue']) mkdirSync(join(root, folder), { recursive: true })
  }

  get enqueued(): number {
    return this.#names().length
  }

  get leased(): number {
    return this.#names().filter(name => timeOf(name) > this.#now()).length
  }

  get inserted(): number {
    const path = join(this.#root, 'insertions')
    // Python takes an empty file for 0.
    return existsSync(path) ? Number.parseInt(readFileSync(path, 'utf8') || '0', 10) : 0
  }

  get completed(): number {
    const path = join(this.#root, 'completions')
    return existsSync(path) ? statSync(path).size : 0
  }

  insert(payload: unknown, delaySeconds = 0): string {
    const id = this.store(payload, delaySeconds)
    this.count(1)
    return id
  }

  /** Inserts a task without counting it: Python counts once for all tasks of a call. */
  store(payload: unknown, delaySeconds = 0): string {
    const id = randomUUID()
    const name = `${delaySeconds > 0 ? this.#now() + delaySeconds : 0}--${id}.json`
    this.#write(join(this.#root, 'queue', name), JSON.stringify({ payload, queueName: this.#root, id }))
    this.#between()
    this.#write(join(this.#root, 'movement', id), `${name}\n`)
    return id
  }

  count(inserted: number): void {
    const count = this.inserted + inserted
    this.#between()
    this.#write(join(this.#root, 'insertions'), String(count))
  }

  /** @throws SyntaxError for a task that is still being written; it stays leased */
  lease(seconds: number): PythonTask | undefined {
    const names = this.#names()
    this.#between()
    for (const name of names) {
      if (timeOf(name) > this.#now()) continue
      const history = openSync(join(this.#root, 'movement', idOf(name)), 'a')
      try {
        this.#between()
        const leased = this.#move(name, this.#now() + seconds)
        if (leased === undefined) continue
        this.#between()
        writeSync(history, `${leased}\n`)
        return JSON.parse(readFileSync(join(this.#root, 'queue', leased), 'utf8')) as PythonTask
      } finally {
        closeSync(history)
      }
    }
    return undefined
  }

  renew(id: string, seconds: number): void {
    const names = this.#history(id)
    this.#between()
    const history = openSync(join(this.#root, 'movement', id), 'w')
    try {
      for (const name of names.toReversed()) {
        this.#between()
        const renewed = this.#move(name, this.#now() + seconds)
        if (renewed === undefined) continue
        this.#between()
        writeSync(history, [...names, renewed, ''].join('\n'))
        return
      }
    } finally {
      closeSync(history)
    }
  }

  cancel(id: string): void {
    this.renew(id, 0)
  }

  delete(id: string, { tally }: { tally: boolean }): void {
    const path = join(this.#root, 'movement', id)
    // Without a record Python takes the task for removed.
    const names = existing(() => this.#history(id))
    if (names !== undefined) {
      this.#between()
      writeFileSync(path, '')
      for (const name of names) {
        this.#between()
        rmSync(join(this.#root, 'queue', name), { force: true })
      }
      this.#between()
      rmSync(path, { force: true })
    }
    this.#between()
    if (tally) appendFileSync(join(this.#root, 'completions'), '\0')
  }

  release(): void {
    for (const name of this.#names()) {
      if (timeOf(name) < this.#now()) continue
      const released = this.#move(name, this.#now())
      if (released !== undefined) appendFileSync(join(this.#root, 'movement', idOf(name)), `${released}\n`)
    }
  }

  purge(): void {
    for (const folder of ['queue', 'movement']) {
      for (const name of readdirSync(join(this.#root, folder))) rmSync(join(this.#root, folder, name))
    }
    writeFileSync(join(this.#root, 'completions'), '')
    writeFileSync(join(this.#root, 'insertions'), '0')
  }

  #now(): number {
    return Math.floor(this.#nowSeconds())
  }

  #names(): string[] {
    const names = readdirSync(join(this.#root, 'queue'))
    for (const name of names) timeOf(name)
    return names
  }

  #history(id: string): string[] {
    const lines = readFileSync(join(this.#root, 'movement', id), 'utf8').split('\n')
    return lines.filter(line => line !== '')
  }

  /** The file is there, and empty, before anything is in it. */
  #write(path: string, text: string): void {
    const file = openSync(path, 'w')
    try {
      this.#between()
      writeSync(file, text)
    } finally {
      closeSync(file)
    }
  }

  /** Gives the task another time; `undefined`: the name is gone. */
  #move(name: string, time: number): string | undefined {
    const [, rest, ...more] = name.split('--')
    if (rest === undefined || more.length > 0) throw new GrammarError(name)
    const moved = `${time}--${rest}`
    return existing(() => {
      renameSync(join(this.#root, 'queue', name), join(this.#root, 'queue', moved))
      return moved
    })
  }
}

/** `undefined` where a file is gone. */
function existing<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function timeOf(name: string): number {
  const [time, rest, ...more] = name.split('--')
  if (time === undefined || !/^\d+$/.test(time) || rest === undefined || more.length > 0) throw new GrammarError(name)
  return Number(time)
}

function idOf(name: string): string {
  return name.slice(name.indexOf('--') + 2).replace(/\.json$/, '')
}
