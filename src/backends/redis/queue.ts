/** An open queue: what its verbs need. */
import { randomBytes } from 'node:crypto'
import type { Connection } from './connection.js'
import { type KeyName, keyNames, type Script } from './script.js'
import { WakeUp } from './wake-up.js'

/** A queue on a connection, with the numbers of its calls. */
export class RedisQueue {
  readonly connection: Connection
  readonly name: string
  /** As messages show it. */
  readonly label: string
  readonly wakeUp: WakeUp
  /** Distinguishes this opening of the queue from all others. */
  readonly #client = randomBytes(12).toString('base64url')
  readonly #keys: Readonly<Record<KeyName, string>>
  /** A slot holds the reply of one call at a time; those of calls that have ended are used again. */
  readonly #freeSlots: number[] = []
  #slots = 0
  #calls = 0
  #holders = 0

  constructor(connection: Connection, name: string, label: string) {
    this.connection = connection
    this.name = name
    this.label = label
    const keys = Object.fromEntries(keyNames.map(key => [key, this.key(key)])) as Record<KeyName, string>
    this.#keys = { ...keys, calls: this.key(`calls:${this.#client}`) }
    this.wakeUp = new WakeUp(connection, keys.wake)
  }

  /** The key of that name: `ptq:{jobs}:bodies`. The hash tag keeps all keys of a queue on one node of a cluster. */
  key(name: string): string {
    return `ptq:{${this.name}}:${name}`
  }

  /** A holder that no lease had before. */
  newHolder(): string {
    return `${this.#client}.${(++this.#holders).toString(36)}`
  }

  /**
   * Runs a script: once, however often its reply is lost.
   *
   * @param action what it is for, as errors name it: `lease from`
   * @param options.other the other queue of a script that names keys of one
   * @param options.signal its abort ends the wait for a server that is away, see {@link Connection.run}
   */
  async run(
    script: Script,
    action: string,
    args: readonly (string | number)[],
    options: { readonly other?: RedisQueue; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<unknown> {
    const { other = this, signal } = options
    const keys = [...script.keys.map(key => this.#keys[key]), ...script.otherKeys.map(key => other.#keys[key])]
    const what = `${action} ${this.label}`
    if (script.kind === 'repeatable') return this.connection.run(script, keys, () => args, what, signal)
    const slot = this.#freeSlots.pop() ?? this.#slots++
    const number = ++this.#calls
    const argsOf = (attempt: number) => [slot, number, attempt > 1 ? 1 : 0, ...args]
    try {
      return await this.connection.run(script, keys, argsOf, what, signal)
    } finally {
      this.#freeSlots.push(slot)
    }
  }
}
