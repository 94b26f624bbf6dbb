/** Tells the parts of a worker that tasks ended or the queue answered, so what waits for fewer tasks looks again. */
export class Activity {
  readonly #listeners: (() => void)[] = []
  #next: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined

  /** Calls `listener` at each change; it must not throw. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  changed(): void {
    for (const listener of this.#listeners) listener()
    const next = this.#next
    this.#next = undefined
    next?.resolve()
  }

  /** Resolves at the next change. */
  next(): Promise<void> {
    if (this.#next === undefined) {
      let resolve: () => void = () => undefined
      const promise = new Promise<void>(settle => {
        resolve = settle
      })
      this.#next = { promise, resolve }
    }
    return this.#next.promise
  }
}
