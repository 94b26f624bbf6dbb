/** The ledger's entries for one task. Small, for there are millions: a list only if something happened twice. */
import type { LedgerVerb } from './ledger.js'

const NOBODY = -1

export class TaskHistory {
  /** The number of started inserts: more than one if an interrupted upload was continued. */
  intended = 0
  inserted = false
  #holder = NOBODY
  #runner = NOBODY
  #finisher = NOBODY
  #more: { verb: LedgerVerb; processNumber: number }[] | undefined

  add(verb: LedgerVerb, processNumber: number): void {
    if (verb === 'intend') this.intended++
    else if (verb === 'inserted') this.inserted = true
    else if (verb === 'held' && this.#holder === NOBODY) this.#holder = processNumber
    else if (verb === 'run' && this.#runner === NOBODY) this.#runner = processNumber
    else if (verb === 'done' && this.#finisher === NOBODY) this.#finisher = processNumber
    else {
      this.#more ??= []
      this.#more.push({ verb, processNumber })
    }
  }

  /** The processes that did this, once for each time. */
  processes(verb: LedgerVerb): readonly number[] {
    const first = { held: this.#holder, run: this.#runner, done: this.#finisher }[verb as string] ?? NOBODY
    if (first === NOBODY && this.#more === undefined) return []
    const others = (this.#more ?? []).filter(event => event.verb === verb).map(({ processNumber }) => processNumber)
    return first === NOBODY ? others : [first, ...others]
  }

  /** The number of times this process did `verb` after its last `end`. */
  countAfter(processNumber: number, verb: LedgerVerb, end: LedgerVerb): number {
    const own = (this.#more ?? []).filter(event => event.processNumber === processNumber)
    const later = own.slice(own.findLastIndex(event => event.verb === end) + 1)
    return later.filter(event => event.verb === verb).length
  }

  count(verb: LedgerVerb): number {
    return this.processes(verb).length
  }
}
