/** A sequence of one task a box of a volume, of any number of dimensions. */

import { argumentError } from '../errors/errors.js'
import { type BoundFunction, boundFunction, callWith } from './bound-function.js'
import { type Sliceable, sliceable } from './sliceable.js'
import type { FunctionTask } from './task.js'

/**
 * A box of a volume: its first point, and the point behind its last one, e.g. `[[0, 0, 0], [64, 64, 64]]`. With as many
 * numbers each as the volume has dimensions.
 */
export type Box<V extends readonly number[] = readonly number[]> = readonly [min: V, max: V]

/** The volume of {@link grid}, and how it is cut. */
export interface GridOptions<V extends readonly number[]> {
  /** The number of points along each axis: integers of 1 or more. */
  readonly shape: V
  /** The number of points of a box along each axis, or along all: integers of 1 or more. Boxes at the far edges are smaller. */
  readonly chunk: V | number
  /** The volume's first point. Default: zeros. */
  readonly offset?: V
}

/** One task for each box of a volume; made by {@link grid}. */
export class TaskGrid<R = unknown> implements Sliceable<FunctionTask<[], R>> {
  // All fields are public, since structured clone takes only those.
  readonly fn: BoundFunction
  readonly shape: readonly number[]
  readonly chunk: readonly number[]
  readonly offset: readonly number[]
  readonly start: number
  readonly end: number

  /** @param start, end the boxes of this part, in the order of {@link grid} */
  constructor(fn: BoundFunction, volume: Volume, start: number, end: number) {
    this.fn = fn
    this.shape = volume.shape
    this.chunk = volume.chunk
    this.offset = volume.offset
    this.start = start
    this.end = end
  }

  get length(): number {
    return this.end - this.start
  }

  slice(start: number, end: number): TaskGrid<R> {
    return new TaskGrid(this.fn, this, this.start + start, this.start + end)
  }

  /** Makes the tasks of this part. */
  *[Symbol.iterator](): Generator<FunctionTask<[], R>, void, undefined> {
    for (let index = this.start; index < this.end; index++) yield callWith(this.fn, boxAt(this, index))
  }
}

sliceable(TaskGrid, { name: 'ptq.TaskGrid', url: import.meta.url })

interface Volume {
  readonly shape: readonly number[]
  readonly chunk: readonly number[]
  readonly offset: readonly number[]
}

/**
 * One task for each box of a volume: `partial(fn, box)`. The boxes don't overlap and cover the whole; those at the far
 * edges are clipped. Their order is that of the axes, the first one fastest.
 *
 * ```ts
 * const segment = queueable(function segment(box: Box<[number, number, number]>) { … })
 * await tq.insert(grid(segment, { shape: [4096, 4096, 1000], chunk: [512, 512, 64] }), { parallel: 4 })
 * // segment([[0, 0, 0], [512, 512, 64]]), segment([[512, 0, 0], [1024, 512, 64]]), …
 * ```
 *
 * @param fn a function that `queueable` registered and that takes a {@link Box}; or `partial(fn, …)` that lacks only that
 * @throws TypeError where a number of the volume isn't what it has to be; UnregisteredTaskError for another function
 */
export function grid<V extends readonly number[], R>(
  fn: ((box: Box<V>) => R) | FunctionTask<[Box<V>], R>,
  options: GridOptions<NoInfer<V>>,
): TaskGrid<R> {
  const { shape } = options
  if (!Array.isArray(shape) || shape.length === 0 || !shape.every(isCount)) {
    throw argumentError('shape', 'an array of integers of 1 or more, one for each axis', shape)
  }
  const rank = shape.length
  const chunk: unknown = typeof options.chunk === 'number' ? shape.map(() => options.chunk) : options.chunk
  if (!isVector(chunk, rank) || !chunk.every(isCount)) {
    throw argumentError('chunk', `an integer of 1 or more, or ${rank} of them, one for each axis`, options.chunk)
  }
  const offset: unknown = options.offset ?? shape.map(() => 0)
  if (!isVector(offset, rank) || !offset.every(Number.isSafeInteger)) {
    throw argumentError('offset', `${rank} integers, one for each axis`, offset)
  }
  const volume = { shape, chunk, offset }
  const boxes = boxesAlong(volume).reduce((product, count) => product * count, 1)
  if (!Number.isSafeInteger(boxes)) throw argumentError('chunk', 'so large that there are fewer than 2^53 boxes', chunk)
  const bound = boundFunction(fn)
  // Refuses arguments that JSON can't carry, and a function that needs more of them, here and not in a thread.
  callWith(bound, boxAt(volume, 0)).payload()
  return new TaskGrid(bound, volume, 0, boxes)
}

/** The number of boxes along each axis. */
function boxesAlong({ shape, chunk }: Volume): number[] {
  return shape.map((points, axis) => Math.ceil(points / (chunk[axis] ?? 1)))
}

function boxAt(volume: Volume, index: number): Box {
  const { shape, chunk, offset } = volume
  const min: number[] = []
  const max: number[] = []
  let rest = index
  boxesAlong(volume).forEach((count, axis) => {
    const size = chunk[axis] ?? 1
    const at = rest % count
    rest = Math.floor(rest / count)
    const origin = offset[axis] ?? 0
    min.push(origin + at * size)
    max.push(origin + Math.min((at + 1) * size, shape[axis] ?? 0))
  })
  return [min, max]
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1
}

function isVector(value: unknown, rank: number): value is readonly number[] {
  return Array.isArray(value) && value.length === rank
}
