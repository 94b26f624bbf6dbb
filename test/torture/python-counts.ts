/**
 * The lower bound of `inserted` if a Python process counts too. Python reads the count, empties the file and writes it,
 * without the lock: counts by others in that moment may be lost, and its own count too. All earlier counts are lost if
 * it ends, or is stopped, in that moment. All others have to be included. In the order of the ledger.
 */
import type { LedgerVerb } from './ledger.js'
import { isCarried, isHanded, isStored, isUploaded } from './tasks.js'

type Place = 'main' | 'transit'

interface Insert {
  readonly place: Place
  readonly tasks: number
  readonly isByPython: boolean
  /** A count of another process may have taken it back. */
  isUncertain: boolean
}

export class PythonCounts {
  readonly #pythons = new Set<number>()
  readonly #counting = new Map<number, Place>()
  readonly #underWay = new Map<number, Insert>()
  readonly #certain = { main: 0, transit: 0 }
  #tasks = 0
  #runs = 0

  /** True if there was a Python process. */
  get isAny(): boolean {
    return this.#pythons.size > 0
  }

  /** Tasks that Python inserted. */
  get tasks(): number {
    return this.#tasks
  }

  /** Tasks that Python ran. */
  get runs(): number {
    return this.#runs
  }

  /** The counts that are certain. `ptq mv`, which counts at times that the ledger doesn't record, is left out. */
  get certain(): Readonly<Record<Place, number>> {
    return this.#certain
  }

  isPython(processNumber: number): boolean {
    return this.#pythons.has(processNumber)
  }

  read(verb: LedgerVerb, processNumber: number, what: readonly string[]): void {
    if (verb === 'python') this.#pythons.add(processNumber)
    else if (verb === 'run' && this.isPython(processNumber)) this.#runs++
    else if (verb === 'intend' || verb === 'moving') this.#begin(processNumber, what)
    else if (verb === 'counting') this.#beginCount(processNumber, what.includes('carried') ? 'transit' : 'main')
    else if (verb === 'counted') this.#counting.delete(processNumber)
    else if (verb === 'inserted' || verb === 'copied') this.#end(processNumber)
    else if (verb === 'SIGKILL' || verb === 'SIGTERM' || verb === 'SIGSTOP') this.#interrupt(processNumber, verb)
  }

  #begin(processNumber: number, keys: readonly string[]): void {
    const [key = ''] = keys
    const place = placeOf(key)
    if (place === undefined) return
    const isByPython = this.isPython(processNumber)
    const isCounting = [...this.#counting.values()].includes(place)
    const isTogether = isByPython && [...this.#underWay.values()].some(other => other.place === place)
    // `ptq mv` may count in the main queue at any time.
    const isBesideMoves = isByPython && place === 'main'
    this.#underWay.set(processNumber, {
      place,
      tasks: keys.length,
      isByPython,
      isUncertain: isCounting || isTogether || isBesideMoves,
    })
    for (const insert of this.#underWay.values())
      if (insert.isByPython && insert.place === place && !isByPython) insert.isUncertain = true
  }

  #beginCount(processNumber: number, place: Place): void {
    this.#counting.set(processNumber, place)
    for (const [other, insert] of this.#underWay)
      if (other !== processNumber && insert.place === place) insert.isUncertain = true
  }

  #end(processNumber: number): void {
    const insert = this.#underWay.get(processNumber)
    this.#underWay.delete(processNumber)
    if (insert === undefined) return
    if (insert.isByPython) this.#tasks += insert.tasks
    if (!insert.isUncertain) this.#certain[insert.place] += insert.tasks
  }

  #interrupt(processNumber: number, signal: LedgerVerb): void {
    const place = this.#counting.get(processNumber)
    if (place !== undefined) {
      this.#certain[place] = 0
      for (const insert of this.#underWay.values()) if (insert.place === place) insert.isUncertain = true
    }
    if (signal === 'SIGSTOP') return
    // Processes of ptq may handle SIGTERM and still complete their work; Python ends at once.
    if (signal === 'SIGTERM' && !this.isPython(processNumber)) return
    this.#counting.delete(processNumber)
    this.#underWay.delete(processNumber)
  }
}

/** The queue in which a task is counted first, if that is known; an upload is counted at several times. */
function placeOf(key: string): Place | undefined {
  if (isCarried(key)) return 'transit'
  if (isUploaded(key) || isStored(key)) return undefined
  return isHanded(key) ? undefined : 'main'
}
