// Tasks that give back, throw or take what is nested deeply, in the ways that values do it.
import { queueable, sliceable } from 'ptq'

export const shapes = ['objects', 'arrays', 'maps', 'list'] as const
export type Shape = (typeof shapes)[number]

/** Something nested so many levels deep. */
export function nest(shape: Shape, depth: number): unknown {
  let nested: unknown = null
  for (let level = 0; level < depth; level++) {
    if (shape === 'objects') nested = { nested }
    else if (shape === 'arrays') nested = [nested]
    else if (shape === 'maps') nested = new Map([['nested', nested]])
    else nested = { value: level, next: nested }
  }
  return nested
}

export const giveBack = queueable(function giveBack(shape: Shape, depth: number) {
  return nest(shape, depth)
})

export const giveBackLater = queueable(async function giveBackLater(shape: Shape, depth: number) {
  await new Promise(resolve => setImmediate(resolve))
  return nest(shape, depth)
})

export const throwError = queueable(function throwError(shape: Shape, depth: number): never {
  throw Object.assign(new RangeError('with more'), { more: nest(shape, depth) })
})

export const throwIt = queueable(function throwIt(shape: Shape, depth: number): never {
  throw nest(shape, depth)
})

export const take = queueable(
  function take(index: number, extra?: unknown) {
    return extra === undefined ? index : -index
  },
  { minArgs: 1 },
)

/** A sequence of tasks whose making throws an error that holds something nested. */
export class Breaking {
  constructor(
    readonly length: number,
    readonly depth: number,
  ) {}
  slice(start: number, end: number): Breaking {
    return new Breaking(end - start, this.depth)
  }
  [Symbol.iterator](): Iterator<never> {
    throw Object.assign(new RangeError('no tasks'), { more: nest('objects', this.depth) })
  }
}
sliceable(Breaking)
