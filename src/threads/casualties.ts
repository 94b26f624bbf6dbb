/** Deaths of threads: what becomes of the tasks they had, and when a run gives up. */
import type { Call } from './call.js'
import type { Chunk } from './chunk.js'
import { barrenThreadsError, brokenThreadError, deadlyFileError, explainDeath } from './death-causes.js'
import type { Flight } from './flight.js'

/** Threads that die one after the other before any task began: after so many the run gives up. */
const barrenDeathLimit = 3

/** What a death leaves. */
export interface Legacy {
  /** Never begun: to be run elsewhere. */
  readonly waiting: Call[]
  /** Begun, and ended with the thread. */
  readonly lost: readonly { readonly chunk: Chunk; readonly index: number; readonly cause: unknown }[]
  /** The file that the thread was importing when it died, with the error of its tasks. */
  readonly notLoaded: { readonly url: string; readonly error: Error } | undefined
  /** Set when too many threads died without running anything. */
  readonly fatal: Error | undefined
}

export class Casualties {
  readonly #maxMemoryMb: number | undefined
  /** Different deaths since something ran; one may have hit several flights. */
  readonly #barren = new Set<unknown>()

  constructor(maxMemoryMb: number | undefined) {
    this.#maxMemoryMb = maxMemoryMb
  }

  /** A thread ran something: threads can be had. */
  somethingRan(): void {
    this.#barren.clear()
  }

  /** Takes apart what a flight had when its thread died, after all that the thread had posted was received. */
  bury(flight: Flight, death: unknown): Legacy {
    const [chunk] = flight.chunks.values()
    const { waiting, lost, begun, loading } = flight.wreck(() =>
      flight.broken === undefined ? explainDeath(death, this.#maxMemoryMb) : brokenThreadError(flight.broken.by),
    )
    if (begun || loading !== undefined || waiting.length === 0) this.#barren.clear()
    else this.#barren.add(death)
    const fatal =
      this.#barren.size >= barrenDeathLimit
        ? barrenThreadsError(this.#barren.size, chunk?.codeNames ?? '', flight.broken?.by ?? death)
        : undefined
    const notLoaded =
      loading === undefined ? undefined : { url: loading, error: deadlyFileError(loading, death, this.#maxMemoryMb) }
    return { waiting, lost, notLoaded, fatal }
  }
}
