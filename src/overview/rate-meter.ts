/** Measures how many tasks leave a queue: completed or dead-lettered, whether or not completions are tallied. */
import type { Overview } from './overview.js'

// The rate over the last minute: current, but smooth.
const windowMs = 60_000

/** The speed at which a queue drains. */
export interface Speed {
  /** Tasks per second that left the queue, over the last minute. */
  readonly tasksPerSecond: number
}

export class RateMeter {
  readonly #samples: { readonly atMs: number; readonly left: number }[] = []

  /** `undefined` after the first sample. */
  add({ inserted, enqueued }: Pick<Overview, 'inserted' | 'enqueued'>, atMs: number): Speed | undefined {
    const samples = this.#samples
    // Without a count of inserted tasks, only the number of enqueued ones can be compared.
    samples.push({ atMs, left: (Number.isNaN(inserted) ? 0 : inserted) - enqueued })
    while (samples.length > 2 && atMs - (samples[0]?.atMs ?? atMs) > windowMs) samples.shift()
    const [first] = samples
    const last = samples.at(-1)
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined
    // Negative after a purge, a rezero or a retry.
    const tasks = Math.max(0, last.left - first.left)
    return { tasksPerSecond: (tasks * 1000) / (last.atMs - first.atMs) }
  }
}
