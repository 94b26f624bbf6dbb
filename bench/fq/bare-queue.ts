/** The floor: what the file queue does to a disk, in a bare loop of Node's blocking calls, with nothing decided. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'

/** Seconds since 1970 that no lease of a bench reaches. */
const FAR = 9_999_999_999

export class BareQueue {
  readonly #dir: string
  readonly #names: string[]

  private constructor(dir: string, names: string[]) {
    this.#dir = dir
    this.#names = names
  }

  /** A new queue in an empty folder. */
  static make(dir: string): BareQueue {
    for (const folder of ['staging', 'queue']) mkdirSync(`${dir}/${folder}`)
    return new BareQueue(dir, [])
  }

  /** The tasks of a queue that belong to one of several processes: none gets in the way of another. */
  static part(dir: string, index: number, parts: number): BareQueue {
    const names = readdirSync(`${dir}/queue`).sort()
    const at = (part: number) => Math.floor((names.length * part) / parts)
    return new BareQueue(dir, names.slice(at(index), at(index + 1)))
  }

  /** One file and one rename a task. */
  insert(): void {
    const id = randomUUID()
    const name = `0--${id}.json`
    const body = `{"payload": [["tasks", "noop"], [1], {}, -1], "queueName": "${this.#dir}", "id": "${id}"}`
    writeFileSync(`${this.#dir}/staging/${id}`, body)
    renameSync(`${this.#dir}/staging/${id}`, `${this.#dir}/queue/${name}`)
    this.#names.push(name)
  }

  /** One rename, one read and one unlink a task. */
  finish(): void {
    const name = this.#names.pop()
    if (name === undefined) throw new Error('Expected more tasks in the queue')
    const held = `${this.#dir}/queue/${FAR}${name.slice(1)}`
    renameSync(`${this.#dir}/queue/${name}`, held)
    readFileSync(held, 'utf8')
    unlinkSync(held)
  }
}
