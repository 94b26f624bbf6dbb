import { queueable } from 'ptq'

/** The parameters of one training. */
export interface Parameters {
  readonly rate: number
  readonly momentum: number
  readonly seed: number
}

/** A row of the table. */
export interface Row extends Parameters {
  /** Part of the points on the wrong side. */
  readonly errors: number
  readonly loss: number
}

/** Fits a line between two clouds of points by gradient descent (logistic regression). */
export const train = queueable(function train({ rate, momentum, seed }: Parameters): Row {
  if (!(rate > 0)) throw new RangeError(`Expected a rate above 0, got ${rate}`)
  const random = randomFrom(seed)
  const points = Array.from({ length: 400 }, (_, index) => {
    const label = index % 2
    return { x: random() + random() + label, y: random() + random() - label, label }
  })
  const weights = [random() - 0.5, random() - 0.5, 0] as [number, number, number]
  const speeds: [number, number, number] = [0, 0, 0]
  const chanceOf = (x: number, y: number) => 1 / (1 + Math.exp(-(weights[0] * x + weights[1] * y + weights[2])))
  for (let step = 0; step < 200; step++) {
    const slopes: [number, number, number] = [0, 0, 0]
    for (const { x, y, label } of points) {
      const difference = chanceOf(x, y) - label
      slopes[0] += difference * x
      slopes[1] += difference * y
      slopes[2] += difference
    }
    for (const index of [0, 1, 2] as const) {
      speeds[index] = momentum * speeds[index] - (rate * slopes[index]) / points.length
      weights[index] += speeds[index]
    }
  }
  let loss = 0
  let errors = 0
  for (const { x, y, label } of points) {
    const chance = chanceOf(x, y)
    loss -= Math.log(Math.max(1e-12, label === 1 ? chance : 1 - chance)) / points.length
    if (chance > 0.5 !== (label === 1)) errors += 1 / points.length
  }
  return { rate, momentum, seed, errors: Number(errors.toFixed(4)), loss: Number(loss.toFixed(4)) }
})

/** Random numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
