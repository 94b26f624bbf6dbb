/** A counting semaphore that grants its permits in the order of the requests. */

/** A permit; `release` must be called once. */
export interface Permit {
  release(): void
}

/** A request for a {@link Permit}. */
export interface PermitRequest {
  /** True if a permit was free at once. */
  readonly isGranted: boolean
  /** Resolves with the permit; with `undefined` if the request was cancelled. */
  readonly permit: Promise<Permit | undefined>
  /** Withdraws the request. Does nothing once it was granted. */
  cancel(): void
}

export class Semaphore {
  #free: number
  /** In the order of the requests, which a Set keeps. */
  readonly #waiting = new Set<(permit: Permit | undefined) => void>()

  constructor(permits: number) {
    this.#free = permits
  }

  /** Requests a permit. */
  acquire(): PermitRequest {
    let grant: ((permit: Permit | undefined) => void) | undefined
    const permit = new Promise<Permit | undefined>(resolve => {
      if (this.#free > 0) {
        this.#free--
        resolve(this.#permit())
        return
      }
      grant = resolve
      this.#waiting.add(resolve)
    })
    return {
      isGranted: grant === undefined,
      permit,
      cancel: () => {
        if (grant !== undefined && this.#waiting.delete(grant)) grant(undefined)
      },
    }
  }

  #permit(): Permit {
    return { release: () => this.#release() }
  }

  #release(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#free++
      return
    }
    this.#waiting.delete(next)
    next(this.#permit())
  }
}
