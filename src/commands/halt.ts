/** Decides when a run ends early: `--halt` in the form of GNU parallel. */

/** A condition after which no more tasks start. */
export interface Halt {
  /** `now`: running commands are ended, too. */
  readonly when: 'now' | 'soon'
  readonly what: 'fail' | 'success' | 'done'
  readonly count: number
}

/** Reads `never`, or `now,fail=1` and the like. @throws RangeError */
export function parseHalt(text: string): Halt | undefined {
  if (text === 'never') return undefined
  const [, when, what, count] = /^(now|soon),(fail|success|done)=([1-9]\d*)$/.exec(text) ?? []
  if (when === undefined) {
    throw new RangeError(`Expected never, or now or soon with fail, success or done, such as now,fail=1, got ${text}`)
  }
  return { when: when as Halt['when'], what: what as Halt['what'], count: Number(count) }
}

/** Counts ends of tasks until the condition holds. */
export class HaltCounter {
  readonly #halt: Halt | undefined
  #count = 0

  constructor(halt: Halt | undefined) {
    this.#halt = halt
  }

  /** Counts an end; returns how to stop, if that is reached now. */
  add(succeeded: boolean): Halt['when'] | undefined {
    const halt = this.#halt
    if (halt === undefined) return undefined
    if (halt.what === 'done' || (halt.what === 'success') === succeeded) this.#count++
    return this.#count >= halt.count ? halt.when : undefined
  }
}
