/** The numbers of a queue over time: a bounded number of points, which lie further apart the longer it runs. */

/** Numbers at a moment, `null` where they are not known. Flat, since all points are sent to each page that opens. */
export type Point = readonly [
  atMs: number,
  waiting: number | null,
  running: number | null,
  /** Tasks that left the queue without becoming dead letters. */
  gone: number | null,
  failed: number | null,
]

/** At two seconds each: the last 48 minutes, then the last 96 with every other point, and so on. */
const maxPoints = 1_440

export class CountHistory {
  #points: Point[] = []
  #skipped = 0
  /** Of so many points one is kept. */
  #step = 1

  get points(): readonly Point[] {
    return this.#points
  }

  add(point: Point): void {
    if (++this.#skipped < this.#step) return
    this.#skipped = 0
    this.#points.push(point)
    if (this.#points.length < maxPoints) return
    this.#points = this.#points.filter((_, index) => index % 2 === 1)
    this.#step *= 2
  }
}
