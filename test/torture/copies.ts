/**
 * Compares copies of a live queue with its content while they were made. In the order of the ledger: a task whose
 * insert was acknowledged before a copy began, and that had neither run nor failed when the copy ended, was in the
 * queue the whole time.
 */
import { faultyTasks } from './faulty-tasks.js'
import type { CopyVerb, LedgerVerb } from './ledger.js'
import { isUploaded, kindOf } from './tasks.js'

interface Copy {
  /** Tasks that have been in the queue since the copy began. */
  readonly present: Set<string>
  readonly seen: Set<string>
  readonly twice: string[]
  isMade: boolean
}

export class CopyCheck {
  readonly #present = new Set<string>()
  readonly #copies = new Map<string, Copy>()
  readonly #missing: string[] = []
  readonly #twice: string[] = []
  #compared = 0

  /** The number of copies that were finished and compared. */
  get compared(): number {
    return this.#compared
  }

  get faults(): readonly string[] {
    const fault = (keys: readonly string[], what: string) =>
      keys.length === 0 ? [] : [faultyTasks(keys, `tasks ${what}`)]
    return [
      ...fault(this.#missing, 'were there the whole time and are not in a live copy'),
      ...fault(this.#twice, 'are in a live copy twice'),
    ]
  }

  /**
   * @param hasRun whether a task ran or failed before: one whose upload was cut off may run before its insert is acknowledged
   * @returns whether the line is about copies alone
   */
  read(verb: LedgerVerb, what: readonly string[], hasRun: (key: string) => boolean): boolean {
    if (isCopyVerb(verb)) {
      const [name = '', ...keys] = what
      this.#readCopy(verb, name, keys)
      return true
    }
    if (verb === 'inserted') for (const key of what) if (isDirect(key) && !hasRun(key)) this.#present.add(key)
    if (verb === 'run' || verb === 'failed' || verb === 'dead' || verb === 'done') {
      for (const key of what) {
        this.#present.delete(key)
        for (const copy of this.#copies.values()) if (!copy.isMade) copy.present.delete(key)
      }
    }
    return false
  }

  #readCopy(verb: CopyVerb, name: string, keys: readonly string[]): void {
    if (verb === 'copyBegun') {
      this.#copies.set(name, { present: new Set(this.#present), seen: new Set(), twice: [], isMade: false })
      return
    }
    const copy = this.#copies.get(name)
    if (copy === undefined) throw new Error(`Expected the copy ${name} to have begun before ${verb}`)
    if (verb === 'copyMade') copy.isMade = true
    for (const key of keys) {
      if (copy.seen.has(key) && isDirect(key)) copy.twice.push(key)
      copy.seen.add(key)
    }
    if (verb !== 'copyListed') return
    this.#copies.delete(name)
    this.#compared++
    this.#twice.push(...copy.twice)
    for (const key of copy.present) if (!copy.seen.has(key)) this.#missing.push(key)
  }
}

function isCopyVerb(verb: LedgerVerb): verb is CopyVerb {
  return verb === 'copyBegun' || verb === 'copyMade' || verb === 'copyHas' || verb === 'copyListed'
}

/** Normal tasks that are inserted into the queue itself: no kill duplicates them there, and none returns. */
function isDirect(key: string): boolean {
  return kindOf(key) === 'n' && (key.startsWith('inserted', 2) || isUploaded(key))
}
