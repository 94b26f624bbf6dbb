/**
 * What a Python worker and inserter do with a queue, by the table of the format alone: it knows none of this project's
 * code, so it may stand for the Python side where no Python is.
 */
import { randomUUID } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

export interface PythonTask {
  readonly id: string
  readonly queueName: string
  readonly payload: unknown
}

export class PythonSide {
  readonly #root: string
  readonly #nowSeconds: () => number

  constructor(root: string, nowSeconds: () => number) {
    this.#root = root
    this.#nowSeconds = nowSeconds
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
    return existsSync(path) ? Number.parseInt(readFileSync(path, 'utf8'), 10) : 0
  }

  get completed(): number {
    const path = join(this.#root, 'completions')
    return existsSync(path) ? statSync(path).size : 0
  }

  insert(payload: unknown, delaySeconds = 0): string {
    const id = randomUUID()
    const name = `${delaySeconds > 0 ? this.#now() + delaySeconds : 0}--${id}.json`
    writeFileSync(join(this.#root, 'queue', name), JSON.stringify({ payload, queueName: this.#root, id }))
    writeFileSync(join(this.#root, 'movement', id), `${name}\n`)
    writeFileSync(join(this.#root, 'insertions'), String(this.inserted + 1))
    return id
  }

  lease(seconds: number): PythonTask | undefined {
    for (const name of this.#names()) {
      if (timeOf(name) > this.#now()) continue
      const leased = this.#move(name, this.#now() + seconds)
      appendFileSync(join(this.#root, 'movement', idOf(name)), `${leased}\n`)
      // Python parses the text at once; a body that is no JSON ends its worker.
      return JSON.parse(readFileSync(join(this.#root, 'queue', leased), 'utf8')) as PythonTask
    }
    return undefined
  }

  renew(id: string, seconds: number): void {
    const name = this.#history(id).findLast(line => existsSync(join(this.#root, 'queue', line)))
    if (name === undefined) return
    appendFileSync(join(this.#root, 'movement', id), `${this.#move(name, this.#now() + seconds)}\n`)
  }

  cancel(id: string): void {
    this.renew(id, 0)
  }

  delete(id: string, { tally }: { tally: boolean }): void {
    if (existsSync(join(this.#root, 'movement', id))) {
      for (const name of this.#history(id)) rmSync(join(this.#root, 'queue', name), { force: true })
      rmSync(join(this.#root, 'movement', id))
    }
    if (tally) appendFileSync(join(this.#root, 'completions'), '\0')
  }

  release(): void {
    for (const name of this.#names()) {
      if (timeOf(name) < this.#now()) continue
      appendFileSync(join(this.#root, 'movement', idOf(name)), `${this.#move(name, this.#now())}\n`)
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

  #move(name: string, time: number): string {
    const [, rest, ...more] = name.split('--')
    if (rest === undefined || more.length > 0) throw new Error(`A Python worker crashes on ${name}`)
    const moved = `${time}--${rest}`
    renameSync(join(this.#root, 'queue', name), join(this.#root, 'queue', moved))
    return moved
  }
}

function timeOf(name: string): number {
  const [time, rest, ...more] = name.split('--')
  if (time === undefined || !/^\d+$/.test(time) || rest === undefined || more.length > 0) {
    throw new Error(`A Python worker crashes on ${name}`)
  }
  return Number(time)
}

function idOf(name: string): string {
  return name.slice(name.indexOf('--') + 2).replace(/\.json$/, '')
}
