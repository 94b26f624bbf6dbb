/** A counted gate: at most `width` are inside at once, the others wait in order. */

/** A place inside; `leave` must be called once. */
export interface Pass {
  leave(): void
}

/** A request for a {@link Pass}. */
export interface Entry {
  /** There is room at once. */
  readonly isOpen: boolean
  /** Resolves when there is room; with `undefined` if the request was cancelled. */
  readonly pass: Promise<Pass | undefined>
  /** Gives up waiting. Does nothing once there is room. */
  cancel(): void
}

export class Gate {
  #free: number
  /** In order of arrival, which a Set keeps. */
  readonly #waiting = new Set<(pass: Pass | undefined) => void>()

  constructor(width: number) {
    this.#free = width
  }

  /** Asks to be let in. */
  enter(): Entry {
    let admit: ((pass: Pass | undefined) => void) | undefined
    const pass = new Promise<Pass | undefined>(resolve => {
      if (this.#free > 0) {
        this.#free--
        resolve(this.#pass())
        return
      }
      admit = resolve
      this.#waiting.add(resolve)
    })
    return {
      isOpen: admit === undefined,
      pass,
      cancel: () => {
        if (admit !== undefined && this.#waiting.delete(admit)) admit(undefined)
      },
    }
  }

  #pass(): Pass {
    return { leave: () => this.#leave() }
  }

  #leave(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#free++
      return
    }
    this.#waiting.delete(next)
    next(this.#pass())
  }
}
