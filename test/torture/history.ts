/** What the ledger says of one task. Small, for there are millions: a list only where something happened twice. */
import type { LedgerVerb } from './ledger.js'

const NOBODY = -1

export class TaskHistory {
  /** How often somebody set out to insert it: more than once where a cut-off upload was continued. */
  intended = 0
  inserted = false
  #holder = NOBODY
  #runner = NOBODY
  #finisher = NOBODY
  #more: { verb: LedgerVerb; player: number }[] | undefined

  add(verb: LedgerVerb, player: number): void {
    if (verb === 'intend') this.intended++
    else if (verb === 'inserted') this.inserted = true
    else if (verb === 'held' && this.#holder === NOBODY) this.#holder = player
    else if (verb === 'run' && this.#runner === NOBODY) this.#runner = player
    else if (verb === 'done' && this.#finisher === NOBODY) this.#finisher = player
    else {
      this.#more ??= []
      this.#more.push({ verb, player })
    }
  }

  /** Who did this to it, once for each time. */
  players(verb: LedgerVerb): readonly number[] {
    const first = { held: this.#holder, run: this.#runner, done: this.#finisher }[verb as string] ?? NOBODY
    if (first === NOBODY && this.#more === undefined) return []
    const others = (this.#more ?? []).filter(event => event.verb === verb).map(({ player }) => player)
    return first === NOBODY ? others : [first, ...others]
  }

  /** Which of these it was that this player did last. */
  last(player: number, verbs: readonly LedgerVerb[]): LedgerVerb | undefined {
    return this.#more?.findLast(event => event.player === player && verbs.includes(event.verb))?.verb
  }

  count(verb: LedgerVerb): number {
    return this.players(verb).length
  }
}
