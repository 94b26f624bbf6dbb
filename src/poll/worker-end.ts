/** Whether a worker is to end, and the error that it ends with. */
export class WorkerEnd {
  readonly #stop = new AbortController()
  #fatal: { readonly thrown: unknown } | undefined

  /** It starts no more tasks. */
  isStopping = false

  /** Aborted at the first {@link stop}. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  stop(): void {
    if (this.isStopping) return
    this.isStopping = true
    this.#stop.abort()
  }

  /** Stops for an error: the worker ends with the first one. */
  fail(thrown: unknown): void {
    this.#fatal ??= { thrown }
    this.stop()
  }

  /** @throws what it failed with */
  throwIfFailed(): void {
    if (this.#fatal !== undefined) throw this.#fatal.thrown
  }
}
